import type { ReadProxyHeader } from '../stream-server.ts'
import type { Arrival } from './arrival.ts'

/** Takes the header of the proxy off the socket of an arrival, which then has the ends that it names; `next` finds the bytes after it unread. */
export const takeProxyHeader = (arrival: Arrival, read: ReadProxyHeader, next: () => void): void => {
  const { socket } = arrival
  let bytes = Buffer.alloc(0)
  const look = (): void => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      bytes = Buffer.concat([bytes, chunk])
      const header = readOrRefuse(arrival, read, bytes)
      if (header === undefined) continue
      socket.off('readable', look)
      if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
      if (header.ends !== undefined) arrival.proxied(header.ends)
      // the stream sees only then that nobody waits for 'readable' any more, and would undo a pause
      process.nextTick(next)
      return
    }
  }
  arrival.stage = 'proxy.header'
  arrival.whyClosed = 'the connection was closed before the header of the proxy was here'
  socket.on('readable', look)
}

const readOrRefuse = (arrival: Arrival, read: ReadProxyHeader, bytes: Buffer): ReturnType<ReadProxyHeader> => {
  try {
    return read(bytes)
  } catch (error) {
    arrival.refuse('proxy.header', (error as Error).message)
    return undefined
  }
}
