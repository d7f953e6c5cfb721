import { createServer, type Socket } from 'node:net'
import type { Connection } from '../network.ts'
import type { ListenStream, StreamAddress, StreamOptions } from '../stream-server.ts'
import { Arrival } from './arrival.ts'
import { boundAddress, type Ends, listenTcp, SocketConnection } from './network.ts'
import { Handshakes } from './tls-server.ts'
import { listenUnix } from './unix-socket.ts'
import { WebSocketUpgrades } from './web-socket.ts'

type Accept = (socket: Socket) => void

/** The real listener: sockets pass through TLS and the upgrade to WebSocket, where there is one. */
export const listenStream: ListenStream = async (address, options, onConnection) => {
  const underWay = new Set<Arrival>()
  const accept =
    options.tls || options.webSocket ? await setups(options, underWay, onConnection) : plain(address, onConnection)
  const server = createServer({ noDelay: true, keepAlive: true }, accept)
  if ('path' in address) await listenUnix(server, address.path)
  else await listenTcp(server, address)
  return {
    address: 'path' in address ? { host: '', port: 0 } : boundAddress(server),
    close: async () => {
      server.close()
      for (const arrival of [...underWay]) {
        arrival.settle()
        arrival.socket.destroy()
      }
    },
  }
}

const plain = (address: StreamAddress, onConnection: (connection: Connection) => void): Accept => {
  // the clients of a Unix socket have no address
  const ends: Ends | undefined =
    'path' in address ? { remote: `unix:${address.path}`, local: { host: '', port: 0 } } : undefined
  return socket => onConnection(new SocketConnection(socket, ends))
}

/** TLS first, then WebSocket. */
const setups = async (
  options: StreamOptions,
  underWay: Set<Arrival>,
  onConnection: (connection: Connection) => void,
): Promise<Accept> => {
  const { tls, webSocket } = options
  const upgrades = webSocket && (await WebSocketUpgrades.open(webSocket, onConnection))
  const transportReady = (socket: Socket, arrival: Arrival): void => {
    if (upgrades) upgrades.begin(socket, arrival)
    else if (arrival.settle()) onConnection(new SocketConnection(socket, arrival.ends))
  }
  const handshakes = tls && new Handshakes(tls, transportReady)
  return socket => {
    const arrival = new Arrival(socket, options, underWay)
    if (handshakes) handshakes.begin(arrival)
    else transportReady(socket, arrival)
  }
}
