import type { ConnectionRefusal } from '../../platform/stream-server.ts'
import { type ConnectPacket, decodeConnect, decodeReason, UnsupportedVersion } from '../../wire/mqtt/client-packets.ts'
import type { Properties } from '../../wire/mqtt/properties.ts'
import { ProtocolViolation } from '../../wire/mqtt/protocol-violation.ts'
import { encodeForwarded } from '../../wire/mqtt/publish-properties.ts'
import { encodeAuth, encodeConnack } from '../../wire/mqtt/server-packets.ts'
import { topicNameFault } from '../../wire/mqtt/topic-name.ts'
import { catchUpAfterReturn } from '../catch-up.ts'
import { Client, keepAliveFactor, maxTopicAliases } from '../client.ts'
import type { MqttConnection } from '../connection.ts'
import type { AuthenticationExchange } from '../enhanced-authentication.ts'
import { type CloseReason, connackCode, reasonCodes } from '../errors.ts'
import { resumeExchanges } from '../resume-exchanges.ts'
import type { MqttServices } from '../services.ts'
import type { Session } from '../session.ts'
import type { Will } from '../will.ts'
import { checkMethod } from './auth.ts'

/** It stands in every record of the client. MQTT asks for 23. */
const maxClientIdBytes = 1024
const assignedIdBytes = 12
const usualKeepAliveSeconds = 60
const neverExpires = 0xffff_ffff
const defaultReceiveMaximum = 65_535

/** A CONNECT that is not answered yet. */
export interface ConnectRequest {
  readonly packet: ConnectPacket
  readonly clientId: string
  readonly isAssigned: boolean
  /** Of enhanced authentication. */
  readonly exchange?: AuthenticationExchange
}

/** CONNECT, section 3.1: answered by CONNACK, whatever comes of it, unless it is malformed. [MQTT-3.1.4-2] */
export function handleConnect(connection: MqttConnection, bytes: Buffer, start: number, end: number): void {
  let packet: ConnectPacket
  try {
    packet = decodeConnect(bytes, start, end)
  } catch (error) {
    // [MQTT-3.1.2-2], in the form of the newest version; who speaks another protocol would not understand it
    if (error instanceof UnsupportedVersion && error.protocol === 'MQTT')
      connection.write(encodeConnack(5, false, reasonCodes.unsupportedVersion))
    throw error
  }
  const isAssigned = packet.clientId === ''
  const clientId = isAssigned ? newClientId(connection.services) : packet.clientId
  const request = { packet, clientId, isAssigned }
  connection.wait(connect(connection, request))
}

/** AUTH before CONNACK: the client goes on with the exchange that its CONNECT began. */
export function handleConnectAuth(
  connection: MqttConnection,
  request: ConnectRequest,
  bytes: Buffer,
  start: number,
  end: number,
): void {
  const packet = decodeReason('auth', bytes, start, end, request.packet.version)
  checkMethod(packet, request.packet.properties.authenticationMethod)
  // [MQTT-4.12.0-3]
  if (packet.reasonCode !== reasonCodes.continueAuthentication)
    throw new ProtocolViolation('protocolError', `AUTH with reason ${packet.reasonCode} before CONNACK`)
  connection.wait(authenticate(connection, request, packet.properties.authenticationData))
}

async function connect(connection: MqttConnection, request: ConnectRequest): Promise<void> {
  const { packet, clientId } = request
  if (connection.refusal !== undefined) return turnAway(connection, request, connection.refusal)
  const fault = clientIdFault(packet)
  if (fault !== undefined) return refuse(connection, request, reasonCodes.clientIdentifierNotValid, fault)
  const willFault =
    packet.will === undefined ? undefined : topicNameFault(packet.will.topic, connection.services.limits.maxTopicLevels)
  if (willFault !== undefined) return refuse(connection, request, reasonCodes.topicNameInvalid, `will: ${willFault}`)
  const { authenticationMethod, authenticationData } = packet.properties
  if (authenticationMethod === undefined) return accept(connection, request, undefined)
  const exchange = connection.services.authentication?.begin(authenticationMethod, clientId)
  // [MQTT-4.12.0-1]
  if (exchange === undefined) {
    const why = 'the authentication method is not known'
    return refuse(connection, request, reasonCodes.badAuthenticationMethod, why, 'authentication')
  }
  return authenticate(connection, { ...request, exchange }, authenticationData)
}

/** A step of enhanced authentication. */
async function authenticate(
  connection: MqttConnection,
  request: ConnectRequest,
  data: Buffer | undefined,
): Promise<void> {
  const step = await request.exchange!.step(data)
  // [MQTT-4.12.0-4]
  if (step.kind === 'failure')
    return refuse(connection, request, reasonCodes.notAuthorized, step.reason, 'authentication')
  if (step.kind === 'success') return accept(connection, request, step.data)
  connection.connecting = request
  const { authenticationMethod } = request.packet.properties
  // [MQTT-4.12.0-2]
  connection.write(
    encodeAuth(reasonCodes.continueAuthentication, {
      ...(authenticationMethod !== undefined && { authenticationMethod }),
      authenticationData: step.data,
    }),
  )
}

/** A limit of connections had no room for it, which is counted already. */
function turnAway(connection: MqttConnection, request: ConnectRequest, { why }: ConnectionRefusal): void {
  answerRefusal(connection, request, reasonCodes.quotaExceeded, why)
  connection.endWith(undefined)
}

/** CONNACK says why, then the connection ends. [MQTT-3.2.2-7] [MQTT-3.1.4-6] */
function refuse(
  connection: MqttConnection,
  request: ConnectRequest,
  reasonCode: number,
  why: string,
  reason: CloseReason = 'protocol',
): void {
  answerRefusal(connection, request, reasonCode, why)
  connection.close(reason, why)
}

function answerRefusal(connection: MqttConnection, { packet }: ConnectRequest, reasonCode: number, why: string): void {
  const { requestProblemInformation, maximumPacketSize = Number.POSITIVE_INFINITY } = packet.properties
  const code = connackCode(packet.version, reasonCode)
  // [MQTT-3.2.2-6]
  const full = encodeConnack(packet.version, false, code, { reasonString: why })
  // [MQTT-3.2.2-19] [MQTT-3.2.2-20]
  const isShort = requestProblemInformation === false || full.length > maximumPacketSize
  connection.write(isShort ? encodeConnack(packet.version, false, code) : full)
}

async function accept(
  connection: MqttConnection,
  request: ConnectRequest,
  authenticationData: Buffer | undefined,
): Promise<void> {
  const { services } = connection
  const { packet, clientId } = request
  const keepAlive = keepAliveOf(packet, services.limits.keepAliveMaxMs / 1000)
  const will = willOf(packet, clientId, keepAlive.seconds)
  if (will !== undefined && !(await services.wills.hold(will)))
    return refuse(connection, request, reasonCodes.serverUnavailable, 'no room for its will')
  let begun = beginSession(connection, request)
  while (begun === undefined) {
    if (connection.isClosed) {
      if (will !== undefined) services.wills.forget(will)
      return
    }
    await services.state.released(clientId)
    await services.sessionLog.removed(clientId)
    begun = beginSession(connection, request)
  }
  const { session, isPresent } = begun
  const client = new Client({ services, connection, session, packet, keepAliveMs: keepAlive.seconds * 1000, will })
  session.client = client
  services.sessions.setExpiry(session, expiryOf(packet, services.limits.sessionExpiryMaxMs))
  services.wills.returned(clientId)
  connection.accepted(client)
  const properties: Properties = {
    ...connackProperties(packet, services, session),
    // [MQTT-3.1.3-7]
    ...(request.isAssigned && { assignedClientIdentifier: clientId }),
    ...(keepAlive.isOurs && { serverKeepAlive: keepAlive.seconds }),
    ...(authenticationData !== undefined && { authenticationData }),
  }
  // [MQTT-3.1.4-5] [MQTT-3.2.0-1]
  if (!client.offer(encodeConnack(packet.version, isPresent, reasonCodes.success, properties))) {
    unanswerable(client)
    return
  }
  services.sessionLog.save(session)
  await resumeExchanges(client)
  if (session.client !== client) return
  session.flow.connect(client)
  catchUpAfterReturn(client)
  services.sessions.joined(session)
}

/** It takes no packet as large as its CONNACK: it never was connected, and nothing is to be told of its end. [MQTT-3.1.2-24] [MQTT-3.14.0-1] */
function unanswerable(client: Client): void {
  const { connection, will } = client
  if (will !== undefined) connection.services.wills.forget(will)
  client.will = undefined
  connection.close('packet.size', 'its CONNACK would be larger than the client takes')
}

/**
 * The session that the client goes on with, or a new one; undefined: the log has something of one that has ended, or the connection has gone.
 * [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.1.3-2] [MQTT-3.1.4-4]
 */
function beginSession(
  { isClosed, services }: MqttConnection,
  { clientId, packet }: ConnectRequest,
): { readonly session: Session; readonly isPresent: boolean } | undefined {
  const { sessions, state, sessionLog } = services
  if (isClosed) return undefined
  takeOver(sessions.find(clientId))
  const before = sessions.find(clientId)
  if (before !== undefined && packet.cleanStart) sessions.end(before)
  if (!state.isReleased(clientId) || !sessionLog.isRemoved(clientId)) return undefined
  // [MQTT-3.2.2-2] [MQTT-3.2.2-3]
  return { session: sessions.begin(clientId), isPresent: before !== undefined && !packet.cleanStart }
}

/** The connection that has the client id now is told and closed. [MQTT-3.1.4-3] */
function takeOver(session: Session | undefined): void {
  session?.client?.connection.endWith(reasonCodes.sessionTakenOver)
}

function clientIdFault({ clientId, version, cleanStart }: ConnectPacket): string | undefined {
  // [MQTT-3.1.3-8] of 3.1.1; MQTT 3.1 knows no empty ones
  if (clientId === '' && (version === 3 || (version === 4 && !cleanStart))) return 'a client id is needed'
  // [MQTT-3.1.3-5]
  if (Buffer.byteLength(clientId) > maxClientIdBytes) return `the client id has more than ${maxClientIdBytes} bytes`
  return undefined
}

/** [MQTT-3.1.3-6] [MQTT-3.2.2-16] */
const newClientId = ({ random }: MqttServices): string => `brooklet-${random.bytes(assignedIdBytes).toString('hex')}`

function willOf({ will }: ConnectPacket, clientId: string, keepAliveSeconds: number): Will | undefined {
  if (will === undefined) return undefined
  const { topic, payload, qos, retain, properties } = will
  const delayMs = (properties.willDelayInterval ?? 0) * 1000
  // [MQTT-3.1.2-7] [MQTT-3.1.3-10]
  return {
    clientId,
    topic,
    payload,
    qos,
    retain,
    properties: encodeForwarded(properties),
    delayMs,
    silenceMs: silenceMs(keepAliveSeconds),
  }
}

/** How long a connection may be lost before anybody notices; a client without keep alive has the time of one with a usual one. */
const silenceMs = (keepAliveSeconds: number): number =>
  keepAliveFactor * 1000 * (keepAliveSeconds > 0 ? keepAliveSeconds : usualKeepAliveSeconds)

/** MQTT 5 clients can be told to keep another one than they asked for. [MQTT-3.1.2-21] [MQTT-3.2.2-21] [MQTT-3.2.2-22] */
function keepAliveOf(packet: ConnectPacket, maxSeconds: number): { seconds: number; isOurs: boolean } {
  const asked = packet.keepAliveSeconds
  const isOurs = packet.version === 5 && maxSeconds > 0 && (asked === 0 || asked > maxSeconds)
  return { seconds: isOurs ? maxSeconds : asked, isOurs }
}

/** How long the session stays after the connection, ms. */
function expiryOf(packet: ConnectPacket, maxMs: number): number {
  if (packet.version !== 5) return packet.cleanStart ? 0 : maxMs
  return expiryMs(packet.properties.sessionExpiryInterval ?? 0, maxMs)
}

export const expiryMs = (seconds: number, maxMs: number): number =>
  seconds === neverExpires ? maxMs : Math.min(seconds * 1000, maxMs)

function connackProperties(packet: ConnectPacket, { limits }: MqttServices, session: Session): Properties {
  const { sessionExpiryInterval = 0, requestResponseInformation, authenticationMethod } = packet.properties
  const granted = session.expiryMs === Number.POSITIVE_INFINITY ? neverExpires : Math.floor(session.expiryMs / 1000)
  // [MQTT-3.1.2-28]
  const information = requestResponseInformation ? responseInformation(session.clientId) : undefined
  return {
    ...(sessionExpiryInterval !== granted && { sessionExpiryInterval: granted }),
    ...(limits.maxInflight < defaultReceiveMaximum && { receiveMaximum: limits.maxInflight }),
    maximumPacketSize: limits.maxPacketBytes,
    topicAliasMaximum: maxTopicAliases,
    ...(information !== undefined && { responseInformation: information }),
    // [MQTT-4.12.0-6]
    ...(authenticationMethod !== undefined && { authenticationMethod }),
  }
}

/** Topics below it are for responses to the client, section 4.10; a client id that is no level of a topic gets none. */
const responseInformation = (clientId: string): string | undefined =>
  /[+#/\0]/.test(clientId) ? undefined : `response/${clientId}`
