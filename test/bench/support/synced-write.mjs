// What the device takes for one write that is synced, as the commit thread makes them: 4 KiB over blocks that the file owns already, O_DSYNC.
import { closeSync, constants, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { median } from './machine.mjs'

const blockBytes = 4096
const blocks = 256
const rounds = 500

/** The median, in milliseconds. */
export const syncedWriteMs = async parent => {
  const directory = mkdtempSync(join(parent, 'bench-'))
  const path = join(directory, 'blocks')
  try {
    const block = Buffer.alloc(blockBytes, 0x61)
    const prepared = openSync(path, 'w')
    for (let index = 0; index < blocks; index++) writeSync(prepared, block)
    fsyncSync(prepared)
    closeSync(prepared)
    const file = openSync(path, constants.O_WRONLY | constants.O_DSYNC)
    const times = []
    for (let round = 0; round < rounds; round++) {
      const startedMs = performance.now()
      writeSync(file, block, 0, blockBytes, (round % blocks) * blockBytes)
      times.push(performance.now() - startedMs)
      // a loop that never waits would keep what else happens here from its turn
      await new Promise(resolve => setImmediate(resolve))
    }
    closeSync(file)
    return median(times)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
