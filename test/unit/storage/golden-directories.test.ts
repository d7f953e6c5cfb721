import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { isSound } from '../../../src/storage/inspect-report.ts'
import { verifyDirectory } from '../../../src/storage/inspect-verify.ts'
import { decodeSlotHeader } from '../../../src/storage/slot.ts'
import { contentOf, openGolden } from '../../support/golden/golden-log.ts'
import { goldenFolder, unpackGolden } from '../../support/golden/unpack-golden.ts'
import { type GoldenKind, goldenKinds, writeGolden } from '../../support/golden/write-golden.ts'

// Directories that an earlier build of this format version wrote. When one of these tests fails the format has changed, or what is read of it:
// then the format version has to rise, and the old directories stay. GOLDEN=write makes them anew, for a kind that is added.
const kinds = Object.keys(goldenKinds) as GoldenKind[]
let directory: string

const expected = async (kind: GoldenKind): Promise<unknown> =>
  JSON.parse(await readFile(join(goldenFolder, kind, 'expected.json'), 'utf8'))

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-golden-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

if (process.env['GOLDEN'] === 'write') {
  it.each(kinds)('%s is written', kind => writeGolden(kind, join(goldenFolder, kind)))
}

describe('golden directories of format 1', () => {
  it.each(kinds)(
    '%s: topics, records, offsets, groups, retained messages and gaps are what they were, also at a second start',
    async kind => {
      await unpackGolden(kind, directory)
      for (const seed of [20, 21]) {
        const golden = await openGolden(directory, seed)
        expect(await contentOf(golden)).toEqual(await expected(kind))
        await golden.close()
      }
    },
  )

  it('log verify finds all sound, and in damaged the one record', async () => {
    for (const kind of kinds) {
      await rm(directory, { recursive: true })
      await mkdir(directory)
      await unpackGolden(kind, directory)
      const report = await verifyDirectory({ files: nodeFiles, clock: nodeClock }, directory)
      expect([kind, isSound(report)]).toEqual([kind, kind !== 'damaged'])
      if (kind !== 'damaged') continue
      expect(report.damages).toMatchObject([{ cause: 'batch', partition: 33, first: 5, last: 5 }])
    }
  })

  it('what each is for is in it', async () => {
    const kindsOf = async (kind: GoldenKind): Promise<(string | undefined)[]> => {
      const copy = join(directory, kind)
      await cp(join(goldenFolder, kind), copy, { recursive: true })
      const slots = (await readdir(join(copy, 'log'))).map(name => join(copy, 'log', name))
      return Promise.all(
        slots.map(async path => decodeSlotHeader(gunzipSync(await readFile(path)).subarray(0, 4096))?.kind),
      )
    }
    expect(await kindsOf('cold')).toEqual(expect.arrayContaining(['hot', 'cold']))
    expect(await kindsOf('plain')).toContain('hot')
    const evicted = (await expected('evicted')) as { gaps: string[] }
    expect(evicted.gaps).toEqual(['32 0 to 10 budget', '33 3 to 9 budget'])
    const damaged = (await expected('damaged')) as { gaps: string[] }
    expect(damaged.gaps).toEqual(['33 5 to 5 damage'])
  })
})
