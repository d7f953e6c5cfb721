import { expect, it } from 'vitest'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { ColdSegment } from '../../../src/storage/cold-segment.ts'
import { batchOf, temporaryDirectory } from './test-log.ts'

it('takes a batch of a new partition whenever it said that there is room for it', async () => {
  const slotBytes = 64 * 1024
  const path = `${temporaryDirectory()}/0001.slot`
  const file = await nodeFiles.open(path, { create: true })
  let batches = 0
  for (let length = 1; length < 400; length++) {
    const batch = batchOf(['x'.repeat(length)])
    const slot = {
      number: 1,
      path,
      file,
      preparedBytes: slotBytes,
      taken: true,
      damaged: false,
      isBad: false,
      turnBad: () => {},
    }
    const cold = new ColdSegment(slot, { logId: '0'.repeat(32), slotBytes, sequence: 1, salt: 1n })
    for (let partition = 32; cold.hasRoomFor(batch.length); partition++) {
      cold.add(cold.spanFor(partition, 0, 0), batch, 0, 0)
      batches++
    }
  }
  expect(batches).toBeGreaterThan(10_000)
  await file.close()
})
