import { BrokerError } from '../core/errors.ts'
import type { Retained } from '../state/retained.ts'
import { encodeForwarded, type ForwardedProperties } from '../wire/mqtt/publish-properties.ts'
import { filterMatches } from '../wire/mqtt/topic-filter.ts'
import { isSystemTopic } from '../wire/mqtt/topic-name.ts'
import type { Client } from './client.ts'
import { Publication } from './publication.ts'
import { identifiersOf, lowerQos, type Subscription } from './subscription.ts'

/** Retained topics that are looked through in one turn of the event loop. */
const topicsPerTurn = 1024
const slowRetryMs = 20

/** Sends the client what is retained for its new subscriptions, as long as it is connected, no faster than it reads. */
export function sendRetained(client: Client, subscriptions: readonly Subscription[]): void {
  const { state } = client.connection.services
  if (state.retained.size === 0 && !subscriptions.some(({ filter }) => isSystemTopic(filter))) return
  void sendAll(client, subscriptions)
}

/** Only what is on the device; nothing when the log has failed. */
async function sendAll(client: Client, subscriptions: readonly Subscription[]): Promise<void> {
  const { state } = client.connection.services
  try {
    for (const subscription of subscriptions) {
      if (isSystemTopic(subscription.filter)) await sendSystemTopics(client, subscription)
      for (const topics of topicChunks(state.retained, subscription.filter)) {
        const found = topics.flatMap(topic => publicationOf(client, topic))
        await state.retainedDurable()
        for (const publication of found) {
          await untilReady(client)
          if (client.connection.isClosed) return
          deliver(subscription, publication)
        }
      }
    }
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
  }
}

async function sendSystemTopics(client: Client, subscription: Subscription): Promise<void> {
  for (const publication of client.connection.services.systemTopics.matching(subscription.filter)) {
    await untilReady(client)
    if (client.connection.isClosed) return
    deliver(subscription, publication)
  }
}

/** Of those that are there at the start: what is published while a slow subscriber takes them would go on for ever. */
function* topicChunks(
  retained: { topics(): string[]; has(topic: string): boolean },
  filter: string,
): Generator<string[]> {
  if (!/[+#]/.test(filter)) {
    if (retained.has(filter)) yield [filter]
    return
  }
  const topics = retained.topics()
  for (let at = 0; at < topics.length; at += topicsPerTurn)
    yield topics.slice(at, at + topicsPerTurn).filter(topic => filterMatches(filter, topic))
}

function publicationOf(client: Client, topic: string): Publication[] {
  const { state, clock } = client.connection.services
  const retained = state.retained.get(topic)
  if (retained === undefined) return []
  const { payload, qos, expiresLogAge } = retained
  const leftSeconds = expiresLogAge === undefined ? undefined : Math.ceil(expiresLogAge - state.logAge)
  if (leftSeconds !== undefined && leftSeconds <= 0) return []
  const properties = {
    ...forwardedOf(retained),
    ...(leftSeconds !== undefined && { messageExpiryInterval: leftSeconds }),
  }
  return [
    new Publication({
      topic,
      payload,
      qos: qos as 0 | 1 | 2,
      retain: true,
      properties: encodeForwarded(properties),
      publisher: '',
      receivedMs: clock.monotonicMs(),
    }),
  ]
}

/** Those that were retained before the order of user properties was kept have them by name. */
function forwardedOf({ properties }: Retained): ForwardedProperties {
  const { userProperties, ...others } = properties ?? {}
  const rest: ForwardedProperties = others
  if (userProperties === undefined) return rest
  if (Array.isArray(userProperties)) return { ...rest, userProperties }
  const pairs = Object.entries(userProperties as Record<string, string | string[]>)
  return {
    ...rest,
    userProperties: pairs.flatMap(([name, values]) => [values].flat().map(value => [name, value] as const)),
  }
}

/** [MQTT-3.3.1-8]: with the retain flag. */
function deliver({ session, qos, identifier }: Subscription, publication: Publication): void {
  session.deliver(publication, lowerQos(qos, publication.qos), true, identifiersOf(identifier), undefined)
}

async function untilReady(client: Client): Promise<void> {
  const { clock } = client.connection.services
  while (!client.connection.isClosed && (client.isSlow || client.session.flow.isHalfFull))
    await new Promise<void>(resolve => clock.after(slowRetryMs, resolve))
}
