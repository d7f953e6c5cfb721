import { constants } from 'node:fs'
import { open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import { bundleGateway } from '../support/bundled-gateway.ts'
import { PowerCutFileSystem, requireFuse } from '../support/power-cut/file-system.ts'
import { type CrashLoopReport, surviveCrashes } from './crash-loop.ts'

/** The power fails under the real process: what it had not synced is dropped, torn and reordered (`VolatileFiles`). */

const cycles = Number(process.env['CUT_CYCLES'] ?? 10)
const seed = Number(process.env['SEED'] ?? 1)
const timeoutMs = 60_000 + cycles * 20_000
const test = requireFuse()

let disk: PowerCutFileSystem | undefined

afterEach(async () => {
  await disk?.dispose()
  disk = undefined
})

const cutPower = async (options: { cycles: number; isFull: boolean; program?: string }): Promise<CrashLoopReport> => {
  const { isFull, program } = options
  const mounted = (disk = await PowerCutFileSystem.mount())
  return surviveCrashes({
    seed,
    cycles: options.cycles,
    isFull,
    gateway: { dataDirectory: `${mounted.path}/data`, ...(program !== undefined && { program }) },
    crash: (gateway, cutSeed) => mounted.cutPower(cutSeed, () => gateway.kill()),
  })
}

test(
  `keeps every promise through ${cycles} power cuts while data is evicted, cleaned and compacted`,
  async () => {
    const report = await cutPower({ cycles, isFull: true })
    console.log(JSON.stringify(report))
    expect(report.evictedRecords).toBeGreaterThan(0)
    expect(report.cleanings).toBeGreaterThan(0)
  },
  timeoutMs,
)

test('the file system keeps what was synced, and of the rest now this, now that', async () => {
  const mounted = (disk = await PowerCutFileSystem.mount())
  const at = (name: string): string => join(mounted.path, name)
  const directory = await open(mounted.path)
  await writeFile(at('synced'), Buffer.alloc(8192, 'a'), { flush: true })
  await writeFile(at('written'), Buffer.alloc(8192, 'a'))
  await directory.sync()
  const writeThrough = await open(at('synced'), constants.O_WRONLY | constants.O_DSYNC)
  await writeThrough.write(Buffer.alloc(100, 'b'), 0, 100, 0)
  await Promise.all([directory.close(), writeThrough.close()])
  const seen = new Set<string>()
  for (let seed = 1; seed <= 10; seed++) {
    await writeFile(at('written'), Buffer.alloc(8192, `${seed % 10}`), { flag: 'r+' })
    await rename(at('written'), at('renamed'))
    await mounted.cutPower(seed, async () => undefined)
    expect((await readFile(at('synced'))).equals(Buffer.from('b'.repeat(100).padEnd(8192, 'a')))).toBe(true)
    const [name] = (await readdir(mounted.path)).filter(each => each !== 'synced')
    seen.add(`${name} ${new Set(await readFile(at(name!))).size > 1 ? 'torn' : 'whole'}`)
    await rename(at(name!), at('written'))
  }
  expect([...seen].sort()).toEqual(['renamed torn', 'renamed whole', 'written torn', 'written whole'])
})

test(
  'the canary: a gateway that acknowledges before the sync is found',
  async () => {
    const { directory, program } = await bundleGateway('unsynced-gateway.ts')
    try {
      // the topic itself may be what was lost
      const broken = /that is missing|was damaged|does not go back|explained|instead of|sequence number|does not host/
      await expect(cutPower({ cycles: 3, isFull: false, program })).rejects.toThrow(broken)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
  timeoutMs,
)
