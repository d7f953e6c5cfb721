import { packetTypes } from './client-packets.ts'
import { encodeProperties, type Properties } from './properties.ts'
import { encodeVariableByteInteger, variableByteIntegerLength } from './variable-byte-integer.ts'

/** Packets from the broker that are not PUBLISH. `version` is 3, 4 or 5; properties and reason codes are MQTT 5 only. */

export const pingresp = Buffer.from([packetTypes.pingresp << 4, 0])

function frame(type: number, ...body: Buffer[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.from([type << 4]), encodeVariableByteInteger(length), ...body])
}

/** The property section: nothing before MQTT 5. [MQTT-2.2.2-1] */
function section(version: number, properties: Properties): Buffer {
  if (version !== 5) return Buffer.alloc(0)
  const bytes = encodeProperties(properties)
  return Buffer.concat([encodeVariableByteInteger(bytes.length), bytes])
}

/** Section 3.2; `code` is a reason code or, before MQTT 5, a return code. [MQTT-3.2.2-1] */
export const encodeConnack = (
  version: number,
  sessionPresent: boolean,
  code: number,
  properties: Properties = {},
): Buffer => frame(packetTypes.connack, Buffer.from([sessionPresent ? 1 : 0, code]), section(version, properties))

/** Section 3.9: one code for each topic filter. [MQTT-2.2.1-6] [MQTT-3.8.4-2] [MQTT-3.9.2-1] [MQTT-3.9.2-2] */
export const encodeSuback = (version: number, packetId: number, codes: readonly number[]): Buffer =>
  frame(packetTypes.suback, id(packetId), section(version, {}), Buffer.from(codes))

/** Section 3.11; before MQTT 5 it has no codes. [MQTT-3.10.4-5] [MQTT-3.11.2-1] [MQTT-3.11.2-2] */
export const encodeUnsuback = (version: number, packetId: number, codes: readonly number[]): Buffer =>
  frame(packetTypes.unsuback, id(packetId), section(version, {}), Buffer.from(version === 5 ? codes : []))

/** Bytes of a SUBACK or UNSUBACK of MQTT 5 with so many codes. */
export function filterAckBytes(codeCount: number): number {
  const length = 2 + 1 + codeCount
  return 1 + variableByteIntegerLength(length) + length
}

/** Section 3.14, MQTT 5 only; it names no session expiry. [MQTT-3.14.2-2] */
export const encodeDisconnect = (reasonCode: number, properties: Properties = {}): Buffer =>
  frame(packetTypes.disconnect, Buffer.from([reasonCode]), section(5, properties))

/** Section 3.15, MQTT 5 only; it carries the method and its data, no reason string. [MQTT-3.15.2-2] [MQTT-3.15.2-3] */
export const encodeAuth = (reasonCode: number, properties: Properties): Buffer =>
  frame(packetTypes.auth, Buffer.from([reasonCode]), section(5, properties))

/** PUBREL with reason code, section 3.6; a code other than 0 is for MQTT 5 only. [MQTT-3.6.2-2] [MQTT-3.6.2-3] */
export const encodePubrel = (packetId: number, reasonCode = 0): Buffer =>
  reasonCode === 0
    ? Buffer.from([(packetTypes.pubrel << 4) | 2, 2, packetId >> 8, packetId & 0xff])
    : Buffer.from([(packetTypes.pubrel << 4) | 2, 3, packetId >> 8, packetId & 0xff, reasonCode])

const id = (packetId: number): Buffer => Buffer.from([packetId >> 8, packetId & 0xff])
