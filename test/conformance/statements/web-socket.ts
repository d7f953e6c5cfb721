import { expect } from 'vitest'
import { WebSocket } from 'ws'
import * as wire from '../../support/mqtt-wire.ts'
import type { Stage } from '../stage.ts'
import { ofClients, type Statement } from './statement.ts'

/** A WebSocket to the broker that gathers what comes. */
async function open(stage: Stage): Promise<{ socket: WebSocket; received: () => Buffer; closed: Promise<void> }> {
  const socket = new WebSocket(`ws://127.0.0.1:${stage.server.webSocketPort}/mqtt`, 'mqtt')
  const chunks: Buffer[] = []
  socket.on('message', (chunk, isBinary) => {
    expect(isBinary).toBe(true)
    chunks.push(chunk as Buffer)
  })
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  return { socket, received: () => Buffer.concat(chunks), closed }
}

/** MQTT 5, chapter 6. */
export const webSocket: readonly Statement[] = [
  {
    id: '6.0.0-1',
    says: 'packets come in binary frames; another kind of frame ends the connection',
    async test(stage) {
      const { socket, closed } = await open(stage)
      socket.send(wire.connect({ clientId: 'a' }).toString('latin1'))
      await closed
    },
  },
  {
    id: '6.0.0-2',
    says: 'frames need not begin or end where packets do',
    async test(stage) {
      const { socket, received } = await open(stage)
      const bytes = Buffer.concat([wire.connect({ clientId: 'a' }), wire.subscribe(1, [['t', 0]]), wire.pingreq()])
      for (const [from, to] of [
        [0, 1],
        [1, 9],
        [9, bytes.length - 3],
        [bytes.length - 3, bytes.length],
      ] as const)
        socket.send(bytes.subarray(from, to))
      const types: string[] = []
      let at = 0
      while (types.length < 3) {
        const found = wire.readPacket(received().subarray(at), 5)
        if (found === undefined) await new Promise(resolve => setTimeout(resolve, 5))
        else {
          types.push(found.type)
          at += found.bytes.length
        }
      }
      expect(types.sort()).toEqual(['connack', 'pingresp', 'suback'])
      socket.terminate()
    },
  },
  { id: '6.0.0-3', says: 'a client offers the subprotocol mqtt', untestable: ofClients },
  {
    id: '6.0.0-4',
    says: 'the subprotocol that the broker selects is mqtt',
    async test(stage) {
      const { socket } = await open(stage)
      expect(socket.protocol).toBe('mqtt')
      socket.terminate()
    },
  },
]
