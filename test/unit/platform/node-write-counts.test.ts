import { expect, it } from 'vitest'
import {
  bytesWrittenOf,
  deviceNumber,
  mountSource,
  readNodeWriteCounts,
} from '../../../src/platform/node/write-counts.ts'

it('unpacks device numbers, large minors and majors included', () => {
  expect(deviceNumber(0xb302)).toBe('179:2')
  expect(deviceNumber(0x10_0801)).toBe('8:257')
  expect(deviceNumber(2 ** 32 * 0x1000 + 5)).toBe('4096:5')
})

it('reads the sectors written, in units of 512 bytes', () => {
  expect(bytesWrittenOf('  100 2 300 4 50 6 1000 8 0 9 10 0 0 0 0 0 0\n')).toBe(512_000)
  for (const text of ['', '1 2 3', '1 2 3 4 5 6 x 8']) expect(bytesWrittenOf(text)).toBeUndefined()
})

it('finds the device of a file system with a number of its own, and none where there is none', () => {
  const lines = [
    '29 1 0:26 / / rw,relatime shared:1 - btrfs /dev/mmcblk0p2 rw,ssd',
    '31 1 0:27 / /tmp rw - tmpfs tmpfs rw',
    '32 1 0:28 / /over rw - overlay overlay rw,lowerdir=/a',
  ].join('\n')
  expect(mountSource(lines, '0:26')).toBe('/dev/mmcblk0p2')
  expect(mountSource(lines, '0:27')).toBeUndefined()
  expect(mountSource(lines, '0:28')).toBeUndefined()
})

it('says nothing, and not 0, about what no device holds', async () => {
  expect((await readNodeWriteCounts('/proc')).deviceBytes).toBeUndefined()
  expect((await readNodeWriteCounts('/no/such/place')).deviceBytes).toBeUndefined()
})
