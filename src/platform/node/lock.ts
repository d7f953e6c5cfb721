import { randomBytes } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { createConnection, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { DirectoryLock, LockDirectory } from '../lock.ts'

const lockName = 'LOCK'
/** `sun_path` holds 108 bytes with its end; a longer one is cut silently. */
const maxPathBytes = 100
const attempts = 5
const tokenBytes = 16

/** Who listens at the socket: its token, nobody (a dead process left it), or no such file. */
type Holder = Buffer | 'nobody' | 'missing'

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

/** The lock is a listening Unix socket: the kernel closes it with its process, in whatever container that ran. */
export const lockNodeDirectory: LockDirectory = async directory => {
  const handle = await fs.open(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  const base = shortPath(directory, handle.fd)
  try {
    const lock = await acquire(base, handle)
    if (lock === undefined) await handle.close()
    return lock
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** The directory under a name that leaves room for a socket's, through its descriptor where the system has that. */
export const shortPath = (directory: string, descriptor: number): string => {
  const viaDescriptor = `/proc/self/fd/${descriptor}`
  if (existsSync(viaDescriptor)) return viaDescriptor
  if (Buffer.byteLength(join(directory, lockName)) > maxPathBytes) {
    throw Object.assign(new Error(`${directory} is too long a path for a socket`), { code: 'ENAMETOOLONG' })
  }
  return directory
}

const acquire = async (base: string, handle: fs.FileHandle): Promise<DirectoryLock | undefined> => {
  const path = `${base}/${lockName}`
  for (let attempt = 0; attempt < attempts; attempt++) {
    const holder = await holderOf(path)
    if (Buffer.isBuffer(holder)) return undefined
    if (holder === 'nobody' && !(await removeStale(base, path))) return undefined
    const token = randomBytes(tokenBytes)
    const server = await listen(path, token)
    if (server === undefined) continue
    // two starts may have found the same stale lock: only who is reached under the name now has it
    const found = await holderOf(path)
    if (Buffer.isBuffer(found) && found.equals(token)) return hold(server, handle)
    // not closed: closing would remove the winner's socket, which has our name now
    return undefined
  }
  return undefined
}

const hold = (server: Server, handle: fs.FileHandle): DirectoryLock => {
  let released: Promise<void> | undefined
  return {
    release: () => (released ??= close(server).then(() => handle.close())),
  }
}

/** Moves the dead lock away and looks again: it may have been replaced by a live one since. False: somebody lives. */
const removeStale = async (base: string, path: string): Promise<boolean> => {
  const aside = `${base}/${lockName}.${randomBytes(4).toString('hex')}`
  try {
    await fs.rename(path, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true
    throw error
  }
  const alive = Buffer.isBuffer(await holderOf(aside))
  // a live lock goes back under its name unless a third start was faster
  if (alive) await fs.link(aside, path).catch(() => {})
  await fs.unlink(aside)
  return !alive
}

const holderOf = (path: string): Promise<Holder> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = createConnection({ path })
    socket.on('data', chunk => chunks.push(chunk))
    // an empty answer: it lives, and is closing
    socket.on('end', () => resolve(Buffer.concat(chunks)))
    socket.on('error', error => {
      const code = codeOf(error)
      if (code === 'ECONNREFUSED' || code === 'ENOTSOCK') resolve('nobody')
      else if (code === 'ENOENT') resolve('missing')
      else if (code === 'ECONNRESET' || code === 'EPIPE') resolve(Buffer.alloc(0))
      else reject(error)
    })
  })

/** Undefined when the name was taken meanwhile. */
const listen = (path: string, token: Buffer): Promise<Server | undefined> =>
  new Promise((resolve, reject) => {
    const server = createServer(socket => {
      socket.on('error', () => socket.destroy())
      socket.end(token)
    })
    server.once('error', error => (codeOf(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)))
    server.listen({ path }, () => {
      server.unref()
      resolve(server)
    })
  })

const close = (server: Server): Promise<void> => new Promise(resolve => server.close(() => resolve()))
