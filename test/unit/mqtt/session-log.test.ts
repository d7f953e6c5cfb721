import { expect, it } from 'vitest'
import type { Broker } from '../../../src/broker/broker.ts'
import { groupNumber, partitionId } from '../../../src/core/brand.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { MemoryShare } from '../../../src/mqtt/memory-share.ts'
import { Publication } from '../../../src/mqtt/publication.ts'
import { Session } from '../../../src/mqtt/session.ts'
import { SessionLog } from '../../../src/mqtt/session-log.ts'
import { ShareLog } from '../../../src/mqtt/share-log.ts'
import { Subscriptions } from '../../../src/mqtt/subscriptions.ts'
import { MqttOutboundView } from '../../../src/state/mqtt-outbound.ts'
import { MqttSessionsView } from '../../../src/state/mqtt-sessions.ts'
import { MqttSharesView } from '../../../src/state/mqtt-shares.ts'
import type { StateLog } from '../../../src/state/state-log.ts'
import { SkippingClock } from '../../support/skipping-clock.ts'

const partition = partitionId(100)
const idsLimit = 8192

const stateLog: StateLog = {
  write(changes) {
    for (const { view, key, value } of changes) view.apply(key, value)
    return groupNumber(1)
  },
  durable: async () => undefined,
  whenDurable: async () => undefined,
  writable: true,
  logAge: 0,
}

it('what waited for free packet ids goes on when the position passes those that are done', () => {
  const [sessions, outbound] = [new MqttSessionsView(), new MqttOutboundView()]
  const broker = { offsets: () => ({ logStart: 0, highWatermark: 10_000, logEnd: 10_000 }) } as unknown as Broker
  const memory = new MemoryShare(new MemoryBudget(1 << 30), 1)
  const shares = new ShareLog(
    { log: stateLog, shares: new MqttSharesView(), broker },
    new Subscriptions(memory, new Metrics()),
  )
  const parts = { log: stateLog, sessions, outbound, shareLog: shares, broker, clock: new SkippingClock() }
  const log = new SessionLog(parts)
  const session = new Session('s', { limitBytes: 1 << 30, memory, metrics: new Metrics(), changed: () => undefined })
  const { flow, windows, backlog } = session
  session.expiryMs = 60_000
  backlog.expect(partition)
  stateLog.write([sessions.putPosition('s', partition, 0)])
  const ids: number[] = []
  flow.connect({
    send: (_publication, _qos, _retain, _dup, id) => ids.push(id) > 0,
    sendPubrel: () => undefined,
    isSlow: false,
    receiveMaximum: 65_535,
    nowMs: 0,
  })
  const give = (offset: number, qos: 1 | 2): void => {
    const properties = Buffer.alloc(0)
    const payload = Buffer.from(String(offset))
    const publication = new Publication({
      topic: 't',
      payload,
      qos,
      retain: false,
      properties,
      publisher: 'p',
      receivedMs: 0,
    })
    publication.placed(partition, offset)
    flow.add({ publication, qos, retain: false, identifiers: [], shared: undefined })
  }
  const write = (): void => {
    for (let step = windows.next(); step.assigned.length + step.received.length > 0; step = windows.next()) {
      windows.written(step)
      flow.logged(step)
    }
  }
  give(0, 1)
  for (let offset = 1; offset <= idsLimit + 1; offset++) give(offset, 2)
  write()
  for (const id of ids.slice(1)) flow.received(id, 0)
  write()
  for (const id of ids.slice(1)) flow.completed(id)
  flow.acknowledged(ids[0]!, 0)
  write()
  expect([windows.isFull, ids.length]).toEqual([true, idsLimit + 1])
  log.advance(session)
  write()
  expect([windows.isFull, ids.length]).toEqual([false, idsLimit + 2])
})
