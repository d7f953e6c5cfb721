import { beforeEach, expect, it } from 'vitest'
import type { PartitionId } from '../../../src/core/brand.ts'
import type { StartOffset } from '../../../src/state/uplink.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import type { Ancestor } from '../../../src/storage/meta.ts'
import { commonEnd } from '../../../src/uplink/inheritance.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'

let under: MemoryBroker
let view: UplinkView
let id: PartitionId

/** A log with 3 records of a first start, 2 of a second, 4 of the first start after a restore, 1 of the first after another. */
beforeEach(async () => {
  view = new UplinkView()
  under = await openMemoryBroker({ frontViews: [view] })
  const { broker, state } = under.open
  const topic = broker.topics.create({ name: 't', partitions: 1 })
  id = topic.partitions[0]!
  const starts = [
    ['one', 7, 3],
    ['two', 8, 2],
    ['child', 1009, 4],
    ['grandchild', 2010, 1],
  ] as const
  for (const [incarnation, epoch, count] of starts) {
    under.log.logEpoch = epoch
    state.write([view.putStart({ incarnation, epoch, mayHaveSent: true })])
    const records = Array.from({ length: count }, () => ({ timestampMs: 1, key: null, value: Buffer.from('x') }))
    const { group } = await broker.produce(topic, 0, encodeBatch(records), { zstd: true })
    await broker.whenDurable(group!)
  }
})

const backups: readonly Ancestor[] = [
  { logId: 'a', lastGroup: 5 },
  { logId: 'b', lastGroup: 9 },
]
const forks: readonly Ancestor[] = backups.map(({ logId }) => ({ logId, lastGroup: 0 }))
const from = (incarnation: string, offset: number): StartOffset => ({ incarnation, from: offset })

const cases: readonly {
  readonly what: string
  readonly last: number
  readonly starts: readonly StartOffset[]
  readonly ancestors?: readonly Ancestor[]
  readonly index?: number
  readonly end: number | undefined
}[] = [
  { what: 'it had not sent all of what both have', last: 1, starts: [from('one', 0)], end: 2 },
  { what: 'it went on in the start that was copied', last: 50, starts: [from('two', 3), from('one', 0)], end: 5 },
  { what: 'it went on in a start of its own', last: 50, starts: [from('its own', 5), from('two', 3)], end: 5 },
  {
    what: 'its own start began sooner: the card was copied while it ran',
    last: 50,
    starts: [from('its own', 4), from('two', 3)],
    end: 4,
  },
  {
    what: 'only the first start is in both',
    last: 50,
    starts: [from('its second', 9), from('its own', 3), from('one', 0)],
    end: 3,
  },
  { what: 'it sent nothing of its own yet', last: 2, starts: [from('its own', 5), from('two', 3)], end: 3 },
  { what: 'the parent, in whose last start this one was backed up', last: 50, starts: [from('child', 5)], end: 9 },
  { what: 'it has started too often since the backup', last: 50, starts: [from('its ninth', 40)], end: 9 },
  { what: 'the same of the log before it', last: 50, starts: [from('its ninth', 40)], index: 0, end: 5 },
  { what: 'and it has not sent all', last: 3, starts: [from('its ninth', 2)], index: 0, end: 4 },
  { what: 'a fork cannot tell then', last: 50, starts: [from('its ninth', 40)], ancestors: forks, end: undefined },
]

it.each(cases)(
  'of both histories the common part ends: $what',
  ({ last, starts, ancestors = backups, index = 1, end }) => {
    const { broker } = under.open
    expect(commonEnd({ broker, view, ancestors }, id, { last, starts }, index)).toBe(end)
  },
)
