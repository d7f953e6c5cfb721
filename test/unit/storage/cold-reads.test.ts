import { afterEach, describe, expect, it } from 'vitest'
import { type PartitionId, partitionId } from '../../../src/core/brand.ts'
import type { Files } from '../../../src/platform/files.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { indexBlockBytes } from '../../../src/storage/layout.ts'
import type { Log } from '../../../src/storage/log.ts'
import { batchOf, MiB, TestDirectory } from './test-log.ts'

const crowd = Array.from({ length: 64 }, (_, index) => partitionId(64 + index))
const rare = partitionId(200)
const logBytes = 16 * MiB
const rareEvery = MiB

/** Files whose reads of slots are counted, once `isCounting`. */
class CountedFiles {
  isCounting = false
  bytes = 0
  calls = 0
  readonly files: Files = {
    ...nodeFiles,
    open: async (path, options) => {
      const file = await nodeFiles.open(path, options)
      return Object.assign(Object.create(file), {
        path,
        read: (target: Uint8Array, position: number) => {
          if (this.isCounting) this.count(target.length)
          return file.read(target, position)
        },
        size: () => file.size(),
        write: (source: Uint8Array, position: number) => file.write(source, position),
        sync: () => file.sync(),
        close: () => file.close(),
      })
    },
  }

  count(bytes: number): void {
    this.bytes += bytes
    this.calls++
  }
}

let log: Log | undefined
let directory: TestDirectory
afterEach(() => log?.close())

/** A log of 4 KiB batches, in turn of 64 partitions, and one of `rare` in each MiB; opened again with nothing in memory. */
const stored = async (counted: CountedFiles, cacheBytes = 8 * MiB): Promise<Log> => {
  directory = new TestDirectory()
  const options = { budgetBytes: 64 * MiB, cacheBytes }
  const filling = await directory.open(options)
  for (const partition of [...crowd, rare]) filling.openPartition(partition)
  const batch = batchOf(['x'.repeat(4000)])
  let written = 0
  let rareDue = 0
  while (written < logBytes) {
    for (const partition of crowd) filling.append([{ partition, batch }])
    if (written >= rareDue) {
      filling.append([{ partition: rare, batch }])
      rareDue += rareEvery
    }
    written += crowd.length * batch.length
    await filling.whenDurable(filling.openGroup)
  }
  await filling.close()
  log = await directory.open(options, { files: counted.files })
  counted.isCounting = true
  return log
}

/** Reads the partitions to their ends, in turn, as a fetch for all of them does; returns the bytes of their batches. */
const readAll = async (from: Log, partitions: readonly PartitionId[]): Promise<number> => {
  let bytes = 0
  let left = partitions.map(partition => ({ partition, offset: 0 }))
  while (left.length > 0) {
    for (const place of left) {
      const end = from.offsets(place.partition).highWatermark
      const { batches, nextOffset } = await from.read(place.partition, place.offset, MiB, end)
      for (const batch of batches) bytes += batch.length
      place.offset = nextOffset
    }
    left = left.filter(({ partition, offset }) => offset < from.offsets(partition).highWatermark)
  }
  return bytes
}

describe('reads of what is not in memory', () => {
  it('of 64 partitions together read the log about once, in large pieces', async () => {
    const counted = new CountedFiles()
    const from = await stored(counted)
    const bytes = await readAll(from, crowd)
    expect(bytes).toBeGreaterThanOrEqual(logBytes)
    expect(counted.bytes / bytes).toBeLessThan(1.2)
    expect(counted.bytes / counted.calls).toBeGreaterThan(2.2 * indexBlockBytes)
  })

  it('of as many consumers at once, too', async () => {
    const counted = new CountedFiles()
    const from = await stored(counted)
    const read = await Promise.all(crowd.map(partition => readAll(from, [partition])))
    const bytes = read.reduce((sum, one) => sum + one, 0)
    expect(counted.bytes / bytes).toBeLessThan(1.2)
  })

  it('go on, and give all memory back, where there is hardly any for blocks and indexes', async () => {
    const from = await stored(new CountedFiles(), 64 * 1024)
    const read = await Promise.all(crowd.map(partition => readAll(from, [partition])))
    expect(read.reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(logBytes)
    await from.close()
    expect(directory.memory.usedBytes).toBe(0)
  })

  it('of one partition alone read the blocks in which it stands and little more', async () => {
    const counted = new CountedFiles()
    const from = await stored(counted)
    await readAll(from, [rare])
    const blocks = logBytes / rareEvery
    // the index of the segments, and the rest of batches that end in the next block
    expect(counted.bytes / indexBlockBytes).toBeLessThan(blocks * 1.2 + 3)
    expect(counted.bytes / indexBlockBytes).toBeGreaterThanOrEqual(blocks)
  })
})
