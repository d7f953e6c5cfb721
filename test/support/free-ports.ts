import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below the ports that the kernel gives to outgoing connections, so that a server which is down finds its port free when it returns. */
const [firstPort, lastPort] = [15_000, 31_000]

/** Distinct ports of 127.0.0.1 on which nobody listens now, for programs that cannot choose one themselves. */
export const freePorts = async (count: number): Promise<number[]> => {
  const found = new Set<number>()
  while (found.size < count) {
    const port = randomInt(firstPort, lastPort)
    if (await isFree(port)) found.add(port)
  }
  return [...found]
}

export const freePort = async (): Promise<number> => (await freePorts(1))[0]!

const isFree = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)))
  })
