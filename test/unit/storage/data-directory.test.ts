import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { lockNodeDirectory } from '../../../src/platform/node/lock.ts'
import { claimDataDirectory } from '../../../src/storage/data-directory.ts'
import { formatVersion } from '../../../src/storage/layout.ts'
import { TestDirectory, temporaryDirectory } from './test-log.ts'

const longDirectory = (): string => {
  const directory = join(temporaryDirectory(), 'a'.repeat(150))
  mkdirSync(directory)
  return directory
}

/** Another process that holds the lock; `held` is false when it did not get it. */
const lockElsewhere = async (directory: string) => {
  const lockPath = fileURLToPath(new URL('../../../src/platform/node/lock.ts', import.meta.url))
  const { build } = await import('esbuild')
  const script = join(temporaryDirectory(), 'lock.mjs')
  await build({ entryPoints: [lockPath], outfile: script, platform: 'node', format: 'esm', bundle: true })
  const source = `import { lockNodeDirectory } from ${JSON.stringify(script)}
    const lock = await lockNodeDirectory(${JSON.stringify(directory)})
    console.log(lock === undefined ? 'refused' : 'held')
    if (lock !== undefined) setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output] = await once(child.stdout, 'data')
  const kill = async (): Promise<void> => {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  return { held: String(output).startsWith('held'), kill }
}

describe('lock of a data directory', () => {
  it('is held by one of two processes, also under a path longer than a socket name, and falls to the next after kill -9', async () => {
    const directory = longDirectory()
    const other = await lockElsewhere(directory)
    expect(other.held).toBe(true)
    await expect(claimDataDirectory(nodeFiles, lockNodeDirectory, directory)).rejects.toMatchObject({ exitCode: 65 })
    await other.kill()
    const lock = await claimDataDirectory(nodeFiles, lockNodeDirectory, directory)
    const third = await lockElsewhere(directory)
    expect(third.held).toBe(false)
    await lock.release()
    const again = await lockNodeDirectory(directory)
    expect(again).toBeDefined()
    await again?.release()
  })

  it('goes to one of many starts that find the same stale lock', async () => {
    const directory = temporaryDirectory()
    const other = await lockElsewhere(directory)
    await other.kill()
    const locks = await Promise.all(Array.from({ length: 8 }, () => lockNodeDirectory(directory)))
    const held = locks.filter(lock => lock !== undefined)
    expect(held).toHaveLength(1)
    await held[0]?.release()
  })
})

describe('data directory', () => {
  it('refuses a directory with files of others', async () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'holiday.jpg'), 'x')
    await expect(claimDataDirectory(nodeFiles, lockNodeDirectory, directory)).rejects.toMatchObject({ exitCode: 65 })
  })

  it('refuses a newer format and says so', async () => {
    const directory = new TestDirectory()
    await (await directory.open()).close()
    const path = join(directory.directory, 'meta')
    const meta = readFileSync(path)
    for (const at of [4, 4100]) meta.writeUInt16BE(formatVersion + 1, at)
    writeFileSync(path, meta)
    await expect(directory.open()).rejects.toThrow(/newer/)
  })

  it('takes the second copy of meta when the first is damaged, and refuses when both are', async () => {
    const directory = new TestDirectory()
    const log = await directory.open()
    await log.close()
    const path = join(directory.directory, 'meta')
    const meta = readFileSync(path)
    meta[10]! ^= 1
    writeFileSync(path, meta)
    const again = await directory.open()
    expect(again.logId).toBe(log.logId)
    await again.close()
    writeFileSync(path, Buffer.alloc(8192))
    await expect(directory.open()).rejects.toMatchObject({ exitCode: 65 })
  })
})
