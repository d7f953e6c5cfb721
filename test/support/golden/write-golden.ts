import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import type { StateChange } from '../../../src/state/view.ts'
import { frameHeaderBytes } from '../../../src/storage/frame.ts'
import { decodeSlotHeader } from '../../../src/storage/slot.ts'
import { compressBatch, encodeBatch, type NewRecord } from '../../../src/wire/kafka/batch-encoding.ts'
import type { CodecName } from '../../../src/wire/kafka/compression/codecs.ts'
import { contentOf, type GoldenLog, openGolden } from './golden-log.ts'

const stampMs = 1_700_000_000_000

const record = (key: string, value: string | null, headers: NewRecord['headers'] = []): NewRecord => ({
  timestampMs: stampMs,
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
  headers,
})

const produce = async (golden: GoldenLog, topic: string, index: number, batch: Buffer): Promise<void> => {
  const { broker } = golden
  const { group } = await broker.produce(broker.topics.get(topic), index, batch, { zstd: true })
  if (group !== undefined) await broker.whenDurable(group)
}

const change = (golden: GoldenLog, changes: readonly StateChange[]): Promise<void> =>
  golden.broker.whenDurable(golden.state.write(changes))

/** Three starts; all codecs, an idempotent producer, a deleted topic, deleted records, all state partitions; no clean stop at the end. */
const plain = async (directory: string): Promise<void> => {
  const first = await openGolden(directory, 1)
  const { topics } = first.broker
  topics.create({ name: 'telemetry', partitions: 2, configs: new Map([['retention.ms', '86400000']]) })
  topics.create({ name: 'gone', partitions: 1 })
  await topics.durable()
  for (let index = 0; index < 20; index++) {
    await produce(first, 'telemetry', index % 2, encodeBatch([record(`s${index}`, `{"t":${index}}`)]))
  }
  await produce(first, 'gone', 0, encodeBatch([record('x', 'y')]))
  const codecs: readonly CodecName[] = ['gzip', 'snappy', 'lz4', 'zstd']
  for (const codec of codecs) {
    const headers = [{ key: 'codec', value: Buffer.from(codec) }]
    const batch = encodeBatch([record('a', codec, headers), record('b', null), record('c', 'x'.repeat(300))])
    await produce(first, 'telemetry', 0, await compressBatch(batch, codec))
  }
  await first.close()

  const second = await openGolden(directory, 2)
  const producer = { producerId: 7, producerEpoch: 1, baseSequence: 0 }
  await produce(second, 'telemetry', 1, encodeBatch([record('p', '1'), record('p', '2')], { producer }))
  const offset = { topic: 'telemetry', partition: 0, offset: 12, leaderEpoch: 0, metadata: 'twelve' }
  const identity = { groupId: 'billing', memberId: '', groupInstanceId: null, generation: -1 }
  await second.groups.commit({ ...identity, offsets: [offset, { ...offset, partition: 1, offset: 3, metadata: '' }] })
  const limits = { count: 10, bytes: 1000 }
  await change(second, [
    second.retained.put('state/door', { payload: Buffer.from('open'), qos: 1 }, limits)!,
    second.retained.put('state/lamp', { payload: Buffer.from('on'), qos: 0 }, limits)!,
    second.inflight.hold('sensor-1', 258),
  ])
  await change(second, [second.retained.remove('state/lamp')])
  second.broker.topics.delete('gone')
  await second.broker.topics.durable()
  await second.broker.deleteRecordsBefore(second.broker.topics.get('telemetry').partitions[0]!, 4)
  await second.close()

  const third = await openGolden(directory, 3)
  await produce(third, 'telemetry', 0, encodeBatch([record('last', 'of all')]))
  await keepAsKilled(directory, third)
}

/** A compacted topic whose newest records stand in a cold segment. */
const cold = async (directory: string): Promise<void> => {
  const golden = await openGolden(directory, 4)
  const { topics } = golden.broker
  const configs = new Map([
    ['cleanup.policy', 'compact'],
    ['min.cleanable.dirty.ratio', '0.01'],
  ])
  topics.create({ name: 'state', partitions: 1, configs })
  topics.create({ name: 'filler', partitions: 1 })
  await topics.durable()
  const passes = golden.metrics.count('storageCompactions')
  for (let round = 0; round < 40; round++) {
    await produce(golden, 'state', 0, encodeBatch([record('a', `a${round}`), record(`b${round % 3}`, `b${round}`)]))
  }
  while (golden.metrics.count('storageCompactions') === passes || !(await hasCold(directory))) {
    await produce(golden, 'filler', 0, encodeBatch([record('f', 'x'.repeat(30_000))]))
  }
  await golden.close()
}

const hasCold = async (directory: string): Promise<boolean> => {
  for (const name of await readdir(join(directory, 'log'))) {
    const bytes = await readFile(join(directory, 'log', name))
    if (decodeSlotHeader(bytes.subarray(0, 4096))?.kind === 'cold') return true
  }
  return false
}

/** Topics whose oldest records went for the budget: read by a group, and by nobody. */
const evicted = async (directory: string): Promise<void> => {
  const golden = await openGolden(directory, 5)
  const { topics } = golden.broker
  topics.create({ name: 'telemetry', partitions: 2 })
  await topics.durable()
  const offset = { topic: 'telemetry', partition: 1, offset: 3, leaderEpoch: 0, metadata: '' }
  const identity = { groupId: 'billing', memberId: '', groupInstanceId: null, generation: -1 }
  await golden.groups.commit({ ...identity, offsets: [offset] })
  for (let index = 0; golden.metrics.count('storageEvictedRecords') < 20; index++) {
    await produce(golden, 'telemetry', index % 2, encodeBatch([record(`s${index}`, 'x'.repeat(30_000))]))
    // room is made beside it
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  await golden.close()
}

/** Like `plain`, with a damaged batch in its middle. */
const damaged = async (directory: string): Promise<void> => {
  await plain(directory)
  const path = join(directory, 'log', '0001.slot')
  const bytes = await readFile(path)
  const at = bytes.indexOf('{"t":11}')
  if (at < frameHeaderBytes) throw new Error('the record to be damaged is not where it was')
  bytes[at]! ^= 0x20
  await writeFile(path, bytes)
}

/** The directory stays as it is now; what the log still writes goes elsewhere. */
const keepAsKilled = async (directory: string, golden: GoldenLog): Promise<void> => {
  const copy = `${directory}.killed`
  await cp(directory, copy, { recursive: true })
  await golden.close()
  await rm(directory, { recursive: true })
  await cp(copy, directory, { recursive: true })
  await rm(copy, { recursive: true })
}

export const goldenKinds = { plain, cold, evicted, damaged } as const
export type GoldenKind = keyof typeof goldenKinds

/** Makes the directory of that kind, packs it under `target`, and writes down what a gateway shows of it. */
export const writeGolden = async (kind: GoldenKind, target: string): Promise<void> => {
  const scratch = await mkdtemp(join(tmpdir(), 'brooklet-golden-'))
  const directory = join(scratch, 'data')
  await nodeFiles.makeDirectory(directory)
  await goldenKinds[kind](directory)
  await rm(target, { recursive: true, force: true })
  for (const name of ['meta', ...(await readdir(join(directory, 'log'))).map(slot => `log/${slot}`)]) {
    const bytes = await readFile(join(directory, name))
    // slots that were never used say nothing
    if (bytes.every(byte => byte === 0)) continue
    await mkdir(dirname(join(target, name)), { recursive: true })
    await writeFile(join(target, `${name}.gz`), gzipSync(bytes, { level: 9 }))
  }
  const golden = await openGolden(directory, 9)
  const content = await contentOf(golden)
  await golden.close()
  await writeFile(join(target, 'expected.json'), `${JSON.stringify(content, undefined, 2)}\n`)
  await rm(scratch, { recursive: true })
}
