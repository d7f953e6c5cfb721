import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nodeFiles } from '../../../src/platform/node/files.ts'

// what every implementation does is in test/contract/platform/files.test.ts; this is what only a real file system shows

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-files-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

describe('what it makes', () => {
  it('others cannot read', async () => {
    const inner = join(directory, 'a/b/c')
    await nodeFiles.makeDirectory(inner)
    await (await nodeFiles.open(join(inner, 'file'), { create: true })).close()
    await nodeFiles.replaceSmall(join(inner, 'small'), Buffer.from('x'))
    for (const path of ['a', 'a/b', 'a/b/c', 'a/b/c/file', 'a/b/c/small']) {
      expect((await modeOf(join(directory, path))) & 0o007, path).toBe(0)
    }
  })

  it('goes through a link to a directory', async () => {
    await mkdir(join(directory, 'real'))
    await symlink(join(directory, 'real'), join(directory, 'link'))
    await nodeFiles.makeDirectory(join(directory, 'link/inner'))
    expect(await nodeFiles.list(join(directory, 'real'))).toEqual(['inner'])
  })

  it('is refused where it cannot be, and the refusal comes', async () => {
    await writeFile(join(directory, 'file'), '')
    await expect(nodeFiles.makeDirectory(join(directory, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(nodeFiles.makeDirectory(join(directory, 'file/x'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    await expect(nodeFiles.makeDirectory('/proc/brooklet/x')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('two may make at the same time', async () => {
    const path = join(directory, 'x/y/z')
    await Promise.all([nodeFiles.makeDirectory(path), nodeFiles.makeDirectory(path), nodeFiles.makeDirectory(path)])
    expect(await nodeFiles.exists(path)).toBe(true)
  })
})

describe('a file', () => {
  it('opened for reading cannot be written', async () => {
    const path = join(directory, 'file')
    await writeFile(path, 'content')
    const file = await nodeFiles.open(path, { readOnly: true })
    await expect(file.write(Buffer.from('x'), 0)).rejects.toMatchObject({ code: 'EBADF' })
    const target = Buffer.alloc(7)
    expect([await file.read(target, 0), target.toString()]).toEqual([7, 'content'])
    await file.close()
    expect(await readFile(path, 'utf8')).toBe('content')
  })

  it('keeps its content when it is opened to be made', async () => {
    const path = join(directory, 'file')
    await writeFile(path, 'content')
    const file = await nodeFiles.open(path, { create: true })
    expect(await file.size()).toBe(7)
    await file.close()
  })

  it('that is a full device refuses with ENOSPC', async () => {
    const file = await nodeFiles.open('/dev/full')
    await expect(file.write(Buffer.from('x'), 0)).rejects.toMatchObject({ code: 'ENOSPC' })
    await file.close()
  })
})

describe('a small file', () => {
  it('that cannot be replaced keeps its content', async () => {
    const path = join(directory, 'small')
    await nodeFiles.replaceSmall(path, Buffer.from('old'))
    // the temporary file cannot be made
    await mkdir(`${path}.new`)
    await expect(nodeFiles.replaceSmall(path, Buffer.from('new'))).rejects.toMatchObject({ code: 'EISDIR' })
    expect(await readFile(path, 'utf8')).toBe('old')
  })

  it('is replaced although a crash left a longer temporary file', async () => {
    const path = join(directory, 'small')
    await writeFile(`${path}.new`, 'a long rest of what was begun')
    await nodeFiles.replaceSmall(path, Buffer.from('new'))
    expect([await readFile(path, 'utf8'), await nodeFiles.list(directory)]).toEqual(['new', ['small']])
  })
})

it('an error that is not absence is told, not taken for it', async () => {
  await writeFile(join(directory, 'file'), '')
  const below = join(directory, 'file/x')
  await expect(nodeFiles.exists(below)).rejects.toMatchObject({ code: 'ENOTDIR' })
  await expect(nodeFiles.readSmall(directory)).rejects.toMatchObject({ code: 'EISDIR' })
  await expect(nodeFiles.list(join(directory, 'file'))).rejects.toMatchObject({ code: 'ENOTDIR' })
})
