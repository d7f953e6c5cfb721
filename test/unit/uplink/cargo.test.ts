import { expect, it } from 'vitest'
import type { Broker } from '../../../src/broker/broker.ts'
import type { TopicMetadata } from '../../../src/client/cluster.ts'
import { defaultSettings } from '../../../src/config/settings.ts'
import { partitionId } from '../../../src/core/brand.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import { Caps } from '../../../src/uplink/caps.ts'
import { load } from '../../../src/uplink/cargo.ts'
import { Lanes } from '../../../src/uplink/lanes.ts'
import { Selection } from '../../../src/uplink/selection.ts'

const roundBytes = 64 << 10
const target: TopicMetadata = { name: 't', id: '', internal: false, partitions: [] }
const selection = new Selection(
  {
    'uplink.topics': ['*'],
    'uplink.topics.exclude': [],
    'uplink.rename': { text: '{topic}', parts: [{ name: 'topic' }] },
    'uplink.rules': [],
    downlink: [],
  },
  'gw',
)

it('on a link that carries one partition in a round all have their turn', async () => {
  const topics = ['a', 'b', 'c'].map((name, index) => ({
    name,
    id: name,
    partitions: [partitionId(100 + index)],
    configs: new Map(),
  }))
  let advanced: (group: unknown, partitions: readonly number[]) => void = () => undefined
  const broker = {
    topics: {
      all: () => topics,
      onChange: () => undefined,
      find: (name: string) => topics.find(one => one.name === name),
    },
    logAge: 0,
    onDurable: (listener: typeof advanced) => {
      advanced = listener
    },
    offsets: () => ({ logStart: 0, highWatermark: 1000 }),
    read: async (_id: number, start: number) => {
      // records come all the time, to all of them
      advanced(
        0,
        topics.flatMap(({ partitions }) => partitions),
      )
      return { batches: [Buffer.alloc(0)], nextOffset: start + 1 }
    },
  } as unknown as Broker
  const caps = new Caps(defaultSettings, { wallMs: () => 0, isRight: () => true })
  const parts = { broker, clock: nodeClock, selection, positionOf: () => undefined, view: new UplinkView(), caps }
  const lanes = new Lanes(parts)
  const packing = {
    readBytes: (_lane: unknown, bytes: number) => bytes,
    pack: async (_lane: unknown, _target: unknown, stored: AsyncIterable<Buffer>) => {
      for await (const _ of stored) break
      return {
        batches: [],
        present: new Map(),
        records: 1,
        bytes: roundBytes,
        storedBytes: roundBytes,
        next: undefined,
      }
    },
  }
  const recordLeftOut = async () => undefined
  const loading = {
    broker,
    clock: nodeClock,
    lanes,
    targetOf: async () => target,
    recordLeftOut,
    isInDoubt: () => false,
    onRecord: () => [],
    mayReorder: true,
    packing,
  }
  const rounds: string[][] = []
  for (let round = 0; round < 6; round++)
    rounds.push((await load(loading, caps.room(roundBytes))).map(({ lane }) => lane.topic))
  expect(rounds).toEqual([['a'], ['b'], ['c'], ['a'], ['b'], ['c']])
})
