import type { Aedes, Client, SubscribePacket } from 'aedes'

type EngineClient = Client & { readonly id: string }

/** Parts of aedes 2.0.0-beta.1 that its types do not show. */
interface EngineInside {
  clients: Record<string, EngineClient>
  brokers: Record<string, unknown>
  unregisterClient(client: EngineClient): void
  scheduleSessionExpiry(client: EngineClient): void
}

interface ClientInside {
  subscriptions: Record<string, unknown>
  duplicates: Record<string, unknown>
  _topicAliases: Map<number, string>
  emit(event: 'error', error: Error): void
  readonly _parser: { prependListener(event: 'packet', listener: (packet: { readonly cmd: string }) => void): void }
}

const serverPackets = new Set(['connack', 'suback', 'unsuback', 'pingresp', 'auth'])

/** Longer topics get no alias: ten of them for each connection would be much memory. */
const maxAliasedLength = 1024

class TopicAliases extends Map<number, string> {
  override set(alias: number, topic: string): this {
    if (topic.length > maxAliasedLength) this.delete(alias)
    else super.set(alias, topic)
    return this
  }
}

/**
 * What aedes gets wrong and no option reaches. Client ids are keys of plain objects there: a client called `constructor` ends the process. And a
 * connection that ends a moment after another took its client id over takes the new one's registration and session with it.
 */
export function correctEngine(aedes: Aedes): void {
  const inside = aedes as unknown as EngineInside
  inside.clients = Object.create(null) as EngineInside['clients']
  inside.brokers = Object.create(null) as EngineInside['brokers']
  const unregister = inside.unregisterClient.bind(inside)
  const expire = inside.scheduleSessionExpiry.bind(inside)
  inside.unregisterClient = client => {
    if (inside.clients[client.id] === client) unregister(client)
  }
  inside.scheduleSessionExpiry = client => {
    const holder = inside.clients[client.id]
    if (holder === undefined || holder === client) expire(client)
  }
}

/** The same for one client; `onSubscribe` sees its SUBSCRIBE packets before aedes does. */
export function correctClient(client: Client, onSubscribe: (packet: SubscribePacket) => void): void {
  const inside = client as unknown as ClientInside
  inside.subscriptions = Object.create(null) as ClientInside['subscriptions']
  inside.duplicates = Object.create(null) as ClientInside['duplicates']
  inside._topicAliases = new TopicAliases()
  inside._parser.prependListener('packet', packet => {
    if (packet.cmd === 'subscribe') onSubscribe(packet as SubscribePacket)
    // the engine closes without a word
    else if (serverPackets.has(packet.cmd)) inside.emit('error', new Error(`a client does not send ${packet.cmd}`))
  })
}
