/**
 * Bytes from outside (network, disk) that do not follow their format: truncated, oversized, out of range, trailing.
 * An expected failure: whoever feeds bytes to a decoder catches it and closes the connection or reports damage.
 */
export class MalformedFrame extends Error {
  override readonly name = 'MalformedFrame'
  /** Where in the message decoding stopped, e.g. `Produce.request.topicData[].partitionData[].records`. */
  readonly path: string

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`)
    this.path = path
  }
}
