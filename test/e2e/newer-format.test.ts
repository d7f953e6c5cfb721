import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { formatVersion } from '../../src/storage/layout.ts'
import { Gateway, runBrooklet, serveArguments } from '../support/gateway.ts'

let directory: string

/** Names, times of change, modes and content of everything. */
const fingerprint = async (): Promise<string[]> => {
  const names = await readdir(directory, { recursive: true })
  const lines = names.sort().map(async name => {
    const found = await stat(join(directory, name))
    const content = found.isFile() ? await readFile(join(directory, name)) : Buffer.alloc(0)
    return `${name} ${found.mtimeMs} ${found.mode} ${createHash('sha256').update(content).digest('hex')}`
  })
  return [`. ${(await stat(directory)).mtimeMs}`, ...(await Promise.all(lines))]
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-newer-'))
  const gateway = await Gateway.start({ dataDirectory: directory })
  await gateway.stop()
  const path = join(directory, 'meta')
  const meta = await readFile(path)
  // the checksum does not hold any more: a later format may compute another one
  for (const at of [4, 4100]) meta.writeUInt16BE(formatVersion + 1, at)
  await writeFile(path, meta)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test.each([
  ['serve', () => serveArguments(directory)],
  ['log verify', () => ['log', 'verify', directory]],
  ['log inspect', () => ['log', 'inspect', directory]],
  ['log dump', () => ['log', 'dump', directory]],
])('%s on a directory of a newer format: exit 65, one line, and not a byte is touched', async (_, args) => {
  const before = await fingerprint()
  const { code, stdout, stderr } = await runBrooklet(args())
  expect([code, stdout]).toEqual([65, ''])
  expect(stderr.split('\n').filter(line => line !== '' && !line.startsWith('{'))).toEqual([
    expect.stringContaining('was written by a newer Brooklet'),
  ])
  expect(await fingerprint()).toEqual(before)
})
