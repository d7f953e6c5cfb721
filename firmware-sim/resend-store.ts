import { Readable } from 'node:stream'
import { type IStore, type Packet, Store } from 'mqtt'

type PacketId = Pick<Packet, 'messageId'>
type Found = (error?: Error, packet?: Packet) => void

/**
 * The packets that a device has sent and that are not acknowledged, in the order of their first sending. MQTT.js puts them
 * there, and on reconnect sends what `createStream` gives, each after the acknowledgement of the one before.
 * This store adds what MQTT.js 5.16 leaves out: a PUBLISH that is sent again carries the DUP flag [MQTT-3.3.1-1]. And it
 * outlives `end()`, so that a device that slept goes on where it was.
 */
export class ResendStore extends Store {
  private readonly packets = new Map<number, Packet>()

  get size(): number {
    return this.packets.size
  }

  override put(packet: Packet, done: (error?: Error) => void): this {
    // PUBREL replaces its PUBLISH and keeps the place of it
    this.packets.set(packet.messageId ?? 0, packet)
    done()
    return this
  }

  override createStream(): ReturnType<IStore['createStream']> {
    const packets = [...this.packets.values()]
    for (const packet of packets) if (packet.cmd === 'publish') packet.dup = true
    // the two stream types differ in their declarations only
    return Readable.from(packets, { objectMode: true }) as unknown as ReturnType<IStore['createStream']>
  }

  override del(id: PacketId, found: Found): this {
    const packet = this.packets.get(id.messageId ?? 0)
    this.packets.delete(id.messageId ?? 0)
    return this.answer(packet, found)
  }

  override get(id: PacketId, found: Found): this {
    return this.answer(this.packets.get(id.messageId ?? 0), found)
  }

  override close(done: (error?: Error) => void): void {
    done()
  }

  private answer(packet: Packet | undefined, found: Found): this {
    if (packet) found(undefined, packet)
    else found(new Error('no such packet'))
    return this
  }
}
