import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import type { ConnectLocal, ListenLocal, LocalPeer } from '../local-socket.ts'
import { shortPath } from './lock.ts'

const maxLineBytes = 16 << 20

const openDirectory = (directory: string): Promise<fs.FileHandle> =>
  fs.open(directory, constants.O_RDONLY | constants.O_DIRECTORY)

export const listenNodeLocal: ListenLocal = async (directory, name, onPeer) => {
  const handle = await openDirectory(directory)
  const path = `${shortPath(directory, handle.fd)}/${name}`
  const sockets = new Set<Socket>()
  try {
    await fs.rm(path, { force: true })
    const server = createServer(socket => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      onPeer(peerOf(socket))
    })
    await listening(server, path)
    server.unref()
    return {
      async close() {
        const closed = new Promise<void>(resolve => server.close(() => resolve()))
        for (const socket of sockets) socket.destroy()
        await closed
        await handle.close()
      },
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

const listening = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path }, resolve)
  })

export const connectNodeLocal: ConnectLocal = async (directory, name) => {
  const handle = await openDirectory(directory)
  try {
    const socket = createConnection({ path: `${shortPath(directory, handle.fd)}/${name}` })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return peerOf(socket)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return undefined
    throw error
  } finally {
    await handle.close()
  }
}

const peerOf = (socket: Socket): LocalPeer => {
  let rest = ''
  const early: string[] = []
  let onLine = (line: string): void => void early.push(line)
  const closeListeners: (() => void)[] = []
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxLineBytes) socket.destroy()
    for (const line of lines) onLine(line)
  })
  // whoever ends has nothing more to say, and nothing to hear
  socket.on('end', () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    for (const listener of closeListeners) listener()
  })
  return {
    send: line => void socket.write(`${line}\n`),
    onLine: listener => {
      onLine = listener
      for (const line of early.splice(0)) listener(line)
    },
    onClose: listener => {
      if (socket.destroyed) listener()
      else closeListeners.push(listener)
    },
    close: () => void socket.destroy(),
  }
}
