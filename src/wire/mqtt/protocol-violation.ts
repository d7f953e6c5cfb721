/** What a packet does wrong, in the words of MQTT 5 section 2.4; `mqtt/errors.ts` has the reason codes. */
export type Violation =
  | 'malformedPacket'
  | 'protocolError'
  | 'unsupportedVersion'
  | 'topicFilterInvalid'
  | 'topicNameInvalid'
  | 'topicAliasInvalid'
  | 'receiveMaximumExceeded'
  | 'packetTooLarge'
  | 'quotaExceeded'
  | 'badAuthenticationMethod'

/** A packet that ends its connection. Bytes that do not even follow their format are a `MalformedFrame`. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation'
  readonly violation: Violation

  constructor(violation: Violation, reason: string) {
    super(reason)
    this.violation = violation
  }
}
