import { createServer, type Socket } from 'node:net'
import type { ListenStream, OnConnection, StreamAddress, StreamOptions } from '../stream-server.ts'
import { Arrival, type Lobby } from './arrival.ts'
import { boundAddress, type Ends, endsOf, listenTcp, SocketConnection } from './network.ts'
import { takeProxyHeader } from './proxy-header.ts'
import { Handshakes } from './tls-server.ts'
import { listenUnix } from './unix-socket.ts'
import { WebSocketUpgrades } from './web-socket.ts'

/** Connections of one listener whose client is not known yet, and which no gate has let in. */
const maxUnknown = 1000

/** The real listener: each socket passes the header of its proxy, the gate, TLS and the upgrade to WebSocket, as far as there are these. */
export const listenStream: ListenStream = async (address, options, onConnection) => {
  const lobby: Lobby = { options, underWay: new Set(), refused: new Set() }
  const setUp = await setUps(options, onConnection)
  const server = createServer({ noDelay: true, keepAlive: true }, socket => {
    const ends = endsAt(address, socket)
    if (ends === undefined) {
      socket.on('error', () => undefined).destroy()
      return
    }
    const arrival = new Arrival(socket, ends, lobby)
    if (options.proxyHeader === undefined) setUp(arrival)
    else if (lobby.underWay.size > maxUnknown)
      arrival.refuse('connections.max', `${maxUnknown} connections are being set up`)
    else takeProxyHeader(arrival, options.proxyHeader, () => setUp(arrival))
  })
  if ('path' in address) await listenUnix(server, address.path)
  else await listenTcp(server, address)
  return {
    address: 'path' in address ? { host: '', port: 0 } : boundAddress(server),
    close: async () => {
      server.close()
      for (const arrival of [...lobby.underWay]) {
        arrival.settle()
        arrival.socket.destroy()
      }
    },
  }
}

/** The clients of a Unix socket have no address. Undefined: the client of a TCP socket was gone before it was accepted. */
const endsAt = (address: StreamAddress, socket: Socket): Ends | undefined => {
  if ('path' in address) return { host: '', remote: `unix:${address.path}`, local: { host: '', port: 0 } }
  return socket.remoteAddress === undefined ? undefined : endsOf(socket)
}

/** The way from a known client to its protocol. */
const setUps = async (
  { tls, webSocket }: StreamOptions,
  onConnection: OnConnection,
): Promise<(arrival: Arrival) => void> => {
  const upgrades = webSocket && (await WebSocketUpgrades.open(webSocket, onConnection))
  const secured = (socket: Socket, arrival: Arrival): void => {
    if (upgrades) upgrades.begin(socket, arrival)
    else if (arrival.settle()) onConnection(new SocketConnection(socket, arrival.ends), arrival.refusal)
  }
  const handshakes = tls && new Handshakes(tls, secured)
  return arrival => {
    if (!arrival.enter()) return
    if (handshakes) handshakes.begin(arrival)
    else secured(arrival.socket, arrival)
  }
}
