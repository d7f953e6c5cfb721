import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { SimRandom } from '../support/sim/random.ts'

// a damaged file may end the process (SIGBUS, SIGABRT, SIGSEGV): each start is a process of its own
const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const program = file(`../../node_modules/.cache/brooklet-fault-${process.pid}/checkpoint-child.mjs`)
const allEntries = 200

let root = ''
let views = ''
beforeAll(async () => {
  await mkdir(dirname(program), { recursive: true })
  const entryPoints = [file('./checkpoint-child.ts')]
  await build({ entryPoints, outfile: program, bundle: true, platform: 'node', format: 'esm', packages: 'external' })
  await copyFile(file('../../src/platform/node/checkpoint-trial.mjs'), join(dirname(program), 'checkpoint-trial.mjs'))
})
afterAll(() => rm(dirname(program), { recursive: true, force: true }))
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'brooklet-fault-'))
  views = join(root, 'views')
})
afterEach(() => rm(root, { recursive: true, force: true }))

/** Entries that the start found, or undefined when it did not get that far. */
const start = (ending: 'close' | 'kill'): Promise<number | undefined> =>
  new Promise(resolve => {
    execFile(process.execPath, [program, views, ending], { timeout: 30_000 }, (_error, stdout) => {
      const found = /found (\d+)/.exec(stdout)?.[1]
      resolve(found === undefined ? undefined : Number(found))
    })
  })

const damages: Record<string, (random: SimRandom) => Promise<void>> = {
  'cut in the middle': async () =>
    truncate(join(views, 'data.mdb'), Math.floor((await stat(join(views, 'data.mdb'))).size / 8192) * 4096),
  'cut to half a page': () => truncate(join(views, 'data.mdb'), 2000),
  'cut to nothing': () => truncate(join(views, 'data.mdb'), 0),
  'overwritten with random bytes': async random => {
    const { size } = await stat(join(views, 'data.mdb'))
    await writeFile(join(views, 'data.mdb'), random.bytes(size))
  },
  'overwritten behind the first two pages': async random => {
    const { size } = await stat(join(views, 'data.mdb'))
    const file = await open(join(views, 'data.mdb'), 'r+')
    await file.write(random.bytes(size - 8192), 0, size - 8192, 8192)
    await file.close()
  },
  deleted: () => rm(join(views, 'data.mdb')),
  'overwritten with zeros': async () => {
    const { size } = await stat(join(views, 'data.mdb'))
    await writeFile(join(views, 'data.mdb'), Buffer.alloc(size))
  },
  'with zeros behind the first two pages': async () => {
    const { size } = await stat(join(views, 'data.mdb'))
    const file = await open(join(views, 'data.mdb'), 'r+')
    await file.write(Buffer.alloc(size - 8192), 0, size - 8192, 8192)
    await file.close()
  },
  'of another program': async () => {
    await writeFile(join(views, 'data.mdb'), Buffer.from('SQLite format 3\0'.padEnd(65_536, 'x')))
  },
  'a directory': async () => {
    await rm(join(views, 'data.mdb'))
    await mkdir(join(views, 'data.mdb'))
  },
  'a lock file of random bytes': random => writeFile(join(views, 'lock.mdb'), random.bytes(8192)),
}

it.each(Object.keys(damages))(
  'views/ with data.mdb %s: every start gets there, and the entries come back',
  async damage => {
    expect(await start('close')).toBe(0)
    expect(await start('close')).toBe(allEntries)
    await damages[damage]!(new SimRandom(1))
    // empty, or all that was there: LMDB finds its way with a lock file of nonsense
    expect([0, allEntries]).toContain(await start('close'))
    expect(await start('close')).toBe(allEntries)
  },
)

it('views/ with one flipped bit: it is empty, or has all that was there', async () => {
  const random = new SimRandom(1)
  const data = join(views, 'data.mdb')
  expect(await start('close')).toBe(0)
  expect(await start('close')).toBe(allEntries)
  const seen = new Set<number | undefined>()
  for (let flips = 0; flips < 12; flips++) {
    const bytes = await readFile(data)
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
    await writeFile(data, bytes)
    const found = await start('close')
    expect([0, allEntries]).toContain(found)
    seen.add(found)
    if (found === 0) expect(await start('close')).toBe(allEntries)
  }
  // some bits belong to no entry
  expect([...seen].sort()).toEqual([0, allEntries])
})

it('the entries of another store are its own: what they mean is told by who reads them', async () => {
  expect(await start('close')).toBe(0)
  const kept = await readFile(join(views, 'data.mdb'))
  await rm(views, { recursive: true })
  await mkdir(views)
  await writeFile(join(views, 'data.mdb'), kept)
  expect(await start('close')).toBe(allEntries)
})

it('keeps everything through one kill -9, and starts empty after two', async () => {
  expect(await start('kill')).toBe(0)
  expect(await start('kill')).toBe(allEntries)
  expect(await start('close')).toBe(0)
  expect(await start('close')).toBe(allEntries)
})
