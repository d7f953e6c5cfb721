import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { implementations } from './implementations.ts'

describe.each(implementations)('Files: $name', ({ run }) => {
  it('reads what was written, where it was written', () =>
    run(async ({ platform: { files }, directory }) => {
      const file = await files.open(join(directory, 'a'), { create: true })
      await file.write(Buffer.from('world'), 6)
      await file.write(Buffer.from('hello '), 0)
      await file.sync()
      expect(await file.size()).toBe(11)
      const target = Buffer.alloc(5)
      expect(await file.read(target, 3)).toBe(5)
      expect(target.toString()).toBe('lo wo')
      await file.close()
    }))

  it('reads fewer bytes only at the end of the file, and zeros in a hole', () =>
    run(async ({ platform: { files }, directory }) => {
      const file = await files.open(join(directory, 'a'), { create: true })
      await file.write(Buffer.from('x'), 9)
      const target = Buffer.alloc(20, 1)
      expect(await file.read(target, 4)).toBe(6)
      expect([...target.subarray(0, 7)]).toEqual([0, 0, 0, 0, 0, 0x78, 1])
      expect(await file.read(target, 10)).toBe(0)
      await file.close()
    }))

  it('takes the bytes as they are when write is called', () =>
    run(async ({ platform: { files }, directory }) => {
      const path = join(directory, 'a')
      const file = await files.open(path, { create: true })
      const source = Buffer.from('one')
      await file.write(source, 0)
      source.fill('x')
      expect(String(await files.readSmall(path))).toBe('one')
      await file.close()
    }))

  it('rejects with ENOENT where nothing is', () =>
    run(async ({ platform: { files }, directory }) => {
      await expect(files.open(join(directory, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(files.open(join(directory, 'no/where'), { create: true })).rejects.toMatchObject({ code: 'ENOENT' })
      expect(await files.readSmall(join(directory, 'none'))).toBeUndefined()
      expect(await files.exists(join(directory, 'none'))).toBe(false)
      expect(await files.list(join(directory, 'none'))).toEqual([])
      await files.remove(join(directory, 'none'))
      await files.removeDirectory(join(directory, 'none'))
    }))

  it('makes, lists and removes', () =>
    run(async ({ platform: { files }, directory }) => {
      const inner = join(directory, 'x/y')
      await files.makeDirectory(inner)
      await files.makeDirectory(inner)
      for (const name of ['c', 'a', 'b']) await (await files.open(join(inner, name), { create: true })).close()
      expect(await files.list(inner)).toEqual(['a', 'b', 'c'])
      expect(await files.list(directory)).toEqual(['x'])
      await files.remove(join(inner, 'b'))
      expect(await files.list(inner)).toEqual(['a', 'c'])
      expect(await files.exists(join(inner, 'a'))).toBe(true)
      await files.removeDirectory(join(directory, 'x'))
      expect(await files.exists(inner)).toBe(false)
    }))

  it('replaces small files as a whole', () =>
    run(async ({ platform: { files }, directory }) => {
      const path = join(directory, 'meta')
      await files.replaceSmall(path, Buffer.from('a longer first content'))
      await files.replaceSmall(path, Buffer.from('short'))
      expect(String(await files.readSmall(path))).toBe('short')
      expect(await files.list(directory)).toEqual(['meta'])
    }))

  it('knows the space of the file system', () =>
    run(async ({ platform: { files }, directory }) => {
      const { freeBytes, totalBytes } = await files.space(directory)
      expect(freeBytes).toBeGreaterThan(0)
      expect(totalBytes).toBeGreaterThanOrEqual(freeBytes)
    }))
})
