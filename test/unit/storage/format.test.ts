import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { decodeControlRecord, encodeControlRecord } from '../../../src/storage/control-record.ts'
import { Cuts } from '../../../src/storage/cuts.ts'
import { encodeFooter } from '../../../src/storage/footer.ts'
import { frameHeaderBytes, writeFrameHeader } from '../../../src/storage/frame.ts'
import { readGroupHeader, writeGroupHeader } from '../../../src/storage/group.ts'
import { saltSeed } from '../../../src/storage/layout.ts'
import { decodeMeta, encodeMeta } from '../../../src/storage/meta.ts'
import { Segment } from '../../../src/storage/segment.ts'
import { decodeSlotHeader, encodeSlotHeader, type SlotHeader } from '../../../src/storage/slot.ts'
import type { Slot } from '../../../src/storage/slot-file.ts'
import { batchOf } from './test-log.ts'

// docs/FORMAT.md in bytes: a change here is a change of the format
const logId = '00112233445566778899aabbccddeeff'
const salt = 0x0123456789abcdefn
const slotHeader: SlotHeader = {
  kind: 'hot',
  logId,
  sequence: 7,
  salt,
  slotBytes: 4194304,
  firstGroup: 1000,
  previousCrc: 0xdeadbeef,
  logEpoch: 3,
}

describe('golden bytes', () => {
  it('meta', () => {
    const meta = { logId, slotBytes: 4194304, starts: [{ logEpoch: 3, salt }], ancestors: [] }
    const bytes = encodeMeta(meta)
    expect(bytes.length).toBe(8192)
    expect(bytes.toString('hex', 0, 60)).toBe(goldenMeta)
    expect(bytes.toString('hex', 4092, 4096)).toBe(goldenMetaCrc)
    expect(decodeMeta(bytes)).toEqual(meta)
  })

  it('slot header', () => {
    const bytes = encodeSlotHeader(slotHeader)
    expect(bytes.length).toBe(4096)
    expect(bytes.toString('hex', 0, 64)).toBe(goldenSlot)
    expect(decodeSlotHeader(bytes)).toEqual(slotHeader)
  })

  it('group header', () => {
    const bytes = Buffer.alloc(64)
    const header = {
      flags: 1,
      salt,
      number: 1001,
      durableThrough: 1000,
      length: 200,
      frameCount: 1,
      previousCrc: 0xcafebabe,
      logEpoch: 3,
      logAge: 60,
      sinceBoot: 90,
      bootHash: 0x01020304,
    }
    const crc = writeGroupHeader(bytes, 0, header)
    expect(bytes.toString('hex')).toBe(goldenGroup)
    expect(readGroupHeader(bytes, 0)).toEqual({ ...header, crc })
  })

  it('frame header', () => {
    const batch = batchOf(['a', 'b'])
    const bytes = Buffer.concat([Buffer.alloc(frameHeaderBytes), batch])
    writeFrameHeader(bytes, 0, saltSeed(salt), 1001, 2, 32, batch.length, 60)
    expect(bytes.toString('hex', 0, frameHeaderBytes)).toBe(goldenFrame)
  })

  it('footer', () => {
    const segment = new Segment({} as Slot, slotHeader, 4096)
    segment.addSalt(8192, 5n)
    segment.index({
      position: 8256,
      partition: 32,
      baseOffset: 10,
      lastOffsetDelta: 4,
      batchBytes: 100,
      maxTimestamp: -1,
      leaderEpoch: 3,
      logAge: 60,
    })
    segment.end = 9000
    segment.lastGroup = 1001
    segment.lastCrc = 0x11223344
    const bytes = encodeFooter(segment, 61)
    expect(bytes.length).toBe(4096)
    expect(bytes.toString('hex', 4096 - segment.footerBytes)).toBe(goldenFooter)
  })

  it('log control records', () => {
    const gap = { partition: partitionId(32), first: 5, last: 9, reason: 'damage', logAge: 60 } as const
    const cuts = new Cuts('retention', 60)
    cuts.add(32, 10, 0)
    cuts.add(300, 2 ** 40, 5)
    const records = [
      encodeControlRecord({ kind: 'start', logEpoch: 3, incarnation: '0102030405060708' }),
      encodeControlRecord({ kind: 'logStart', partition: 32, offset: 10 }),
      encodeControlRecord({ kind: 'removed', partition: 32 }),
      encodeControlRecord({ kind: 'gap', gap }),
      encodeControlRecord({ kind: 'summed', count: 2, records: 70 }),
      encodeControlRecord({ kind: 'snapshot' }),
      encodeControlRecord({ kind: 'logEnd', partition: 32, offset: 10 }),
      encodeControlRecord({ kind: 'cold', cold: { sequence: 7, slot: 3, salt, end: 9000 } }),
      encodeControlRecord({ kind: 'restored', parent: { logId, lastGroup: 1001 } }),
      encodeControlRecord({ kind: 'parentEnd', partition: 32, offset: 10 }),
      encodeControlRecord({ kind: 'cuts', cuts }),
    ]
    expect(records.map(record => record.toString('hex'))).toEqual([
      '01000000030102030405060708',
      '0200000020000000000000000a',
      '0300000020',
      '040000002000000000000000050000000000000009020000003c',
      '05000000020000000000000046',
      '06',
      '0700000020000000000000000a',
      '080000000000000007000000030123456789abcdef00002328',
      '0900112233445566778899aabbccddeeff00000000000003e9',
      '0a00000020000000000000000a',
      '0b010000003c201400ac028080808080400a',
    ])
    expect(decodeControlRecord(records.at(-1)!)).toEqual({ kind: 'cuts', cuts })
  })
})

const goldenMeta =
  '424b4d540001000000112233445566778899aabbccddeeff004000000001000000000000000000000000000000000000' +
  '000000030123456789abcdef'
const goldenMetaCrc = '7cbf4601'
const goldenSlot =
  '424b4c530001010000112233445566778899aabbccddeeff00000000000000070123456789abcdef00400000deadbeef' +
  '00000000000003e8000000037066b4fa'
const goldenGroup =
  '424b4752000100000123456789abcdef00000000000003e900000000000003e8000000c800000001cafebabe00000003' +
  '0000003c0000005a01020304cd11ba09'
const goldenFrame = '3a857ed0424b4652000003e900020000000000200000004d000000010000003c'
const goldenFooter =
  '000000010000000100002000000000000000000500000020000000000000000a000000000000000f00000064ffffffff' +
  'ffffffff0000003c0000003c000000010000000100000003000000000000000a000000000000000a0000204000000000' +
  'ffffffffffffffff0000003c424b46540001000000000000000000070123456789abcdef0000006ce47cff1100002328' +
  '1122334400000000000003e90000003d00000000000000007dbbace4'
