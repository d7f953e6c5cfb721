import { expect, it } from 'vitest'
import type { RandomAccessFile } from '../../../src/platform/files.ts'
import { ColdSegment } from '../../../src/storage/cold-segment.ts'
import { describeFrame } from '../../../src/storage/frame-indexer.ts'
import { FrameWalk, type StoredBytes } from '../../../src/storage/frame-walk.ts'
import { firstGroupPosition } from '../../../src/storage/layout.ts'
import { noNewestBytes } from '../../../src/storage/segment-scan.ts'
import { stamp } from '../../../src/wire/kafka/record-batch.ts'
import { batchOf, MiB, topic } from './test-log.ts'

const memoryFile = (bytes: Buffer): RandomAccessFile => ({
  path: '',
  size: async () => bytes.length,
  read: async (target, position) => bytes.copy(target, 0, position),
  write: async (source, position) => void bytes.set(source, position),
  sync: async () => {},
  close: async () => {},
})

/** Gives what it is asked for and not a byte more, as at the end of every window. */
const exactBytes = (bytes: Buffer): StoredBytes => ({
  sharedBytes: Number.POSITIVE_INFINITY,
  window: () => undefined,
  ahead: () => {},
  prefetch: () => {},
  load: async (_, start, length) => {
    const buffer = Buffer.from(bytes.subarray(start, start + length))
    return { buffer, start, end: start + length, trusted: false }
  },
})

it('has the header of a frame and of its batch at hand wherever a window ends', async () => {
  const bytes = Buffer.alloc(4 * MiB)
  const slot = {
    number: 1,
    path: '',
    file: memoryFile(bytes),
    preparedBytes: bytes.length,
    taken: true,
    damaged: false,
    isBad: false,
    turnBad: () => {},
  }
  const cold = new ColdSegment(slot, { logId: '0'.repeat(32), sequence: 1, salt: 7n, slotBytes: bytes.length })
  const span = cold.spanFor(topic, 0, 0)
  for (let offset = 0; offset < 20; offset++) {
    const batch = batchOf(['x'.repeat(offset)], 1000 + offset)
    stamp(batch, offset, 0)
    cold.add(span, batch, 5, 0)
  }
  await cold.flush(true)
  const walk = new FrameWalk(cold.segment, firstGroupPosition, noNewestBytes, exactBytes(bytes))
  for (let offset = 0; offset < 20; offset++) {
    expect(await walk.find()).toBe(true)
    const frame = describeFrame(walk.buffer, walk.at, walk.position)
    expect([frame.baseOffset, frame.maxTimestamp, frame.logAge]).toEqual([offset, 1000 + offset, 5])
    walk.skip()
  }
  expect([await walk.find(), walk.skippedDamage]).toEqual([false, false])
})
