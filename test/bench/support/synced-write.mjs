// What the device takes for one write that is synced, as the commit thread makes them: whole blocks over blocks that the file owns already, O_DSYNC. Run as a
// process of its own, so that it can be pinned: node synced-write.mjs DIRECTORY BYTES; prints the median in milliseconds.
import { closeSync, constants, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { median } from './machine.mjs'

const writes = 256
const rounds = 500

const measure = async (parent, bytes) => {
  const directory = mkdtempSync(join(parent, 'bench-'))
  const path = join(directory, 'blocks')
  try {
    const block = Buffer.alloc(bytes, 0x61)
    const prepared = openSync(path, 'w')
    for (let index = 0; index < writes; index++) writeSync(prepared, block)
    fsyncSync(prepared)
    closeSync(prepared)
    const file = openSync(path, constants.O_WRONLY | constants.O_DSYNC)
    const times = []
    for (let round = 0; round < rounds; round++) {
      const startedMs = performance.now()
      writeSync(file, block, 0, bytes, (round % writes) * bytes)
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

const [, , parent, bytes] = process.argv
process.stdout.write(`${await measure(parent, Number(bytes))}\n`)
