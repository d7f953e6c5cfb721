import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Flips a bit in each place of the log where `text` stands. Returns how many these were. */
export const flipBitsAt = async (dataDirectory: string, text: string): Promise<number> => {
  let places = 0
  for (const name of await readdir(join(dataDirectory, 'log'))) {
    const path = join(dataDirectory, 'log', name)
    const bytes = await readFile(path)
    const before = places
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length)) {
      bytes[at]! ^= 0x04
      places++
    }
    if (places > before) await writeFile(path, bytes)
  }
  return places
}
