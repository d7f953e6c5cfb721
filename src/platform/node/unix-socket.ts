import { lstat, stat, unlink } from 'node:fs/promises'
import { createConnection, type Server } from 'node:net'
import { dirname } from 'node:path'

/** Owner and group may connect, nobody else. */
const umask = 0o117
const connectTimeoutMs = 1000

/** Listens at the path, mode 0660. A socket there that nobody listens at any more is replaced. */
export const listenUnix = async (server: Server, path: string): Promise<void> => {
  // what is wrong with the directory would be EACCES, whatever it is
  await stat(dirname(path))
  try {
    await listenAt(server, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !(await isStale(path))) throw error
    await unlink(path)
    await listenAt(server, path)
  }
}

const listenAt = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    // the socket is made inside this call: at no time does it have another mode
    const before = process.umask(umask)
    server.listen({ path }, () => {
      server.off('error', reject)
      // as in network.ts: a failed accept costs one connection
      server.on('error', () => undefined)
      resolve()
    })
    process.umask(before)
  })

/** A socket whose process has ended refuses. Anything else is not ours to remove. */
const isStale = async (path: string): Promise<boolean> => {
  if (!(await lstat(path)).isSocket()) return false
  return new Promise(resolve => {
    const socket = createConnection({ path, timeout: connectTimeoutMs })
    const found = (stale: boolean): void => {
      socket.destroy()
      resolve(stale)
    }
    socket.once('connect', () => found(false))
    socket.once('timeout', () => found(false))
    socket.once('error', (error: NodeJS.ErrnoException) => found(error.code === 'ECONNREFUSED'))
  })
}
