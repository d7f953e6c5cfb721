const httpMethods = new Set(['GET ', 'HEAD', 'POST', 'PUT ', 'DELE', 'OPTI', 'HTTP'])

/**
 * The protocol whose first bytes these look like, for the log line of a client at the wrong listener: TLS (a handshake), HTTP, MQTT (CONNECT)
 * or Kafka (a frame below 64 KiB). Four bytes are enough, and a guess they remain.
 */
export const foreignProtocol = (bytes: Buffer, start: number): string | undefined => {
  const [first, second] = bytes.subarray(start, start + 2)
  if (first === 0x16 && second === 0x03) return 'TLS'
  if (first === 0x10) return 'MQTT'
  if (first === 0 && second === 0) return 'Kafka'
  return httpMethods.has(bytes.toString('latin1', start, start + 4)) ? 'HTTP' : undefined
}
