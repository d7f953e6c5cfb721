import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { Aedes, type AedesOptions } from 'aedes'
import { connectAsync, type MqttClient } from 'mqtt'
import { type Receipt, receiptOf } from '../../../firmware-sim/index.ts'

/** An in-process MQTT broker on a free port, with a QoS 1 subscriber that writes down every reading in the order of arrival. */
export class RecordingBroker {
  readonly receipts: Receipt[] = []
  /** Publishes that no profile understands. */
  readonly strangers: string[] = []
  /** DUP flags of the publishes as they came in from the devices. */
  duplicatesFlagged = 0
  readonly url: string
  private readonly server: ReturnType<typeof createServer>
  private readonly broker: Aedes
  private readonly sockets: Set<Socket>
  private subscriber: MqttClient | undefined

  private constructor(server: ReturnType<typeof createServer>, broker: Aedes, sockets: Set<Socket>, port: number) {
    this.server = server
    this.broker = broker
    this.sockets = sockets
    this.url = `mqtt://127.0.0.1:${port}`
  }

  static async start(options: AedesOptions = {}): Promise<RecordingBroker> {
    const broker = await Aedes.createBroker({ queueLimit: 100_000, ...options })
    const sockets = new Set<Socket>()
    const server = createServer(socket => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      broker.handle(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const recording = new RecordingBroker(server, broker, sockets, address.port)
    await recording.record()
    return recording
  }

  /** Waits until the subscriber has heard nothing for a while. */
  async settled(): Promise<void> {
    for (let before = -1; before !== this.receipts.length; ) {
      before = this.receipts.length
      await new Promise(resolve => setTimeout(resolve, 200))
    }
  }

  async stop(): Promise<void> {
    await this.subscriber?.endAsync(true)
    for (const socket of this.sockets) socket.destroy()
    await new Promise<void>(resolve => this.broker.close(resolve))
    this.server.close()
  }

  private async record(): Promise<void> {
    this.broker.on('publish', (packet, client) => {
      if (client && 'dup' in packet && packet.dup) this.duplicatesFlagged++
    })
    this.subscriber = await connectAsync(this.url, { clientId: 'recorder' })
    this.subscriber.on('message', (topic, payload) => {
      const receipt = receiptOf(topic, payload)
      if (receipt) this.receipts.push(receipt)
      else this.strangers.push(topic)
    })
    await this.subscriber.subscribeAsync('#', { qos: 1 })
  }
}
