import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import type { Outgoing } from '../../../src/mqtt/exchange.ts'
import { MemoryShare } from '../../../src/mqtt/memory-share.ts'
import { OutboundFlow, type Sender } from '../../../src/mqtt/outbound-flow.ts'
import { PacketIdWindows } from '../../../src/mqtt/packet-id-windows.ts'
import { Publication } from '../../../src/mqtt/publication.ts'

const windowsLimit = 8192
const memory = new MemoryShare(new MemoryBudget(1 << 30), 1)

const publication = (offset: number): Outgoing => {
  const one = new Publication({
    topic: 't',
    payload: Buffer.alloc(10),
    qos: 2,
    retain: false,
    properties: Buffer.alloc(0),
    publisher: 'p',
    receivedMs: 0,
  })
  one.placed(partitionId(100), offset)
  return { publication: one, qos: 2, retain: false, identifiers: [], shared: undefined }
}

const flowWith = () => {
  const windows = new PacketIdWindows({ outlivesConnection: true, windowsChanged: () => undefined })
  const flow = new OutboundFlow({ limitBytes: 1 << 30, memory, metrics: new Metrics() }, windows)
  const log = (): void => {
    for (let step = windows.next(); step.assigned.length + step.received.length > 0; step = windows.next()) {
      windows.written(step)
      flow.logged(step)
    }
  }
  return { windows, flow, log }
}

const connected = (flow: OutboundFlow): { readonly id: number; readonly dup: boolean }[] => {
  const sent: { id: number; dup: boolean }[] = []
  const sender: Sender = {
    send: (_publication, _qos, _retain, dup, id) => sent.push({ id, dup }) > 0,
    sendPubrel: () => undefined,
    isSlow: false,
    receiveMaximum: 65_535,
    nowMs: 0,
  }
  flow.connect(sender)
  return sent
}

it('sends again what is under way, also when no more packet ids may be given out', () => {
  const { windows, flow, log } = flowWith()
  const first = connected(flow)
  for (let offset = 0; offset <= windowsLimit; offset++) flow.add(publication(offset))
  log()
  expect([windows.isFull, first.length]).toEqual([true, windowsLimit])
  flow.disconnect()
  const again = connected(flow)
  expect(again).toEqual(first.map(({ id }) => ({ id, dup: true })))
})

it('holds nothing for an exchange that the client has ended while it was read again', () => {
  const { windows, flow } = flowWith()
  const partition = partitionId(100)
  const restored = windows.restore(
    [[0, { own: [1, 2].map(id => [id, partition, id] as const), other: [], received: [], shared: [] }]],
    { positions: new Map(), shareOf: () => undefined },
  )
  flow.restore(restored)
  const [refused, received] = flow.unread
  flow.received(1, 0x80)
  flow.received(2, 0)
  const before = memory.bytes
  flow.resume(refused!, publication(1))
  flow.resume(received!, undefined)
  expect([memory.bytes - before, received!.stage]).toEqual([0, 'received'])
})
