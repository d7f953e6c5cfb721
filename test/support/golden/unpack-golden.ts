import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { GoldenKind } from './write-golden.ts'

/** Where the directories of format 1 are, packed. */
export const goldenFolder = fileURLToPath(new URL('../../golden/format-1/', import.meta.url))

/** Makes a data directory, which exists and is empty, of a golden one. */
export const unpackGolden = async (kind: GoldenKind, directory: string): Promise<void> => {
  await mkdir(join(directory, 'log'))
  const source = join(goldenFolder, kind)
  for (const name of await readdir(source, { recursive: true })) {
    if (!name.endsWith('.gz')) continue
    await writeFile(join(directory, name.slice(0, -'.gz'.length)), gunzipSync(await readFile(join(source, name))))
  }
}
