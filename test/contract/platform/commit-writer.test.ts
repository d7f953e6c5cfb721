import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Bench, implementations } from './implementations.ts'

const blockBytes = 4096

const slotOf = async ({ platform: { files }, directory }: Bench, name: string): Promise<string> => {
  const path = join(directory, name)
  const file = await files.open(path, { create: true })
  await file.write(Buffer.alloc(16 * blockBytes), 0)
  await file.sync()
  await file.close()
  return path
}

describe.each(implementations)('CommitWriter: $name', ({ run }) => {
  it('gives page-aligned arenas of the size asked for', () =>
    run(async ({ platform }) => {
      const writer = platform.openCommitWriter(3, 2 * blockBytes)
      expect(writer.arenas.map(arena => arena.length)).toEqual([2 * blockBytes, 2 * blockBytes, 2 * blockBytes])
      expect(writer.arenas.every(arena => arena.every(byte => byte === 0))).toBe(true)
      await writer.close()
    }))

  it('writes stretches of arenas into several files', () =>
    run(async bench => {
      const { files } = bench.platform
      const paths = [await slotOf(bench, '1'), await slotOf(bench, '2')]
      const writer = bench.platform.openCommitWriter(2, 4 * blockBytes)
      writer.arenas[0]!.fill(1)
      writer.arenas[1]!.fill(2)
      await writer.write(1, blockBytes, blockBytes, paths[0]!, 3 * blockBytes)
      await writer.write(0, 0, 2 * blockBytes, paths[1]!, 0)
      writer.release(paths[0]!)
      writer.release('/never/opened')
      await writer.write(0, 0, blockBytes, paths[0]!, 5 * blockBytes)
      await writer.close()
      const expected = Buffer.alloc(16 * blockBytes)
      expected.fill(2, 3 * blockBytes, 4 * blockBytes).fill(1, 5 * blockBytes, 6 * blockBytes)
      expect(expected.equals((await files.readSmall(paths[0]!))!)).toBe(true)
      expect(
        expected
          .fill(0)
          .fill(1, 0, 2 * blockBytes)
          .equals((await files.readSmall(paths[1]!))!),
      ).toBe(true)
    }))

  it('hands bytes over, and syncs them alone or with the next write', () =>
    run(async bench => {
      const path = await slotOf(bench, '1')
      const writer = bench.platform.openCommitWriter(2, 4 * blockBytes)
      writer.arenas[0]!.fill(1)
      writer.arenas[1]!.fill(2)
      const blocks = async (): Promise<number[]> => {
        const content = (await bench.platform.files.readSmall(path))!
        return [0, 1, 2, 3].map(block => content[block * blockBytes]!)
      }
      await writer.handOver(0, 0, blockBytes, path, 0)
      expect(await blocks()).toEqual([1, 0, 0, 0])
      await writer.sync(path)
      await writer.handOver(0, 0, 2 * blockBytes, path, blockBytes)
      await writer.write(1, 0, 2 * blockBytes, path, 2 * blockBytes)
      await writer.sync(path)
      expect(await blocks()).toEqual([1, 1, 2, 2])
      await expect(writer.handOver(0, 0, blockBytes, join(bench.directory, 'missing'), 0)).rejects.toMatchObject({
        code: 'ENOENT',
      })
      await writer.close()
    }))

  it("rejects with Node's code, makes no file, and goes on for the others", () =>
    run(async bench => {
      const path = await slotOf(bench, '1')
      const missing = join(bench.directory, 'missing')
      const writer = bench.platform.openCommitWriter(2, blockBytes)
      await expect(writer.write(0, 0, blockBytes, missing, 0)).rejects.toMatchObject({ code: 'ENOENT' })
      await writer.write(0, 0, blockBytes, path, 0)
      await writer.close()
      expect(await bench.platform.files.exists(missing)).toBe(false)
    }))

  it('takes one write at a time, within an arena, and none after close', () =>
    run(async bench => {
      const path = await slotOf(bench, '1')
      const writer = bench.platform.openCommitWriter(2, blockBytes)
      const attempt = async (arena: number, start: number, length: number) =>
        writer.write(arena, start, length, path, 0)
      await expect(attempt(0, blockBytes / 2, blockBytes)).rejects.toThrow('within its arena')
      await expect(attempt(7, 0, blockBytes)).rejects.toThrow('within its arena')
      const first = attempt(0, 0, blockBytes)
      await expect(attempt(1, 0, blockBytes)).rejects.toThrow('one commit is under way')
      await first
      await writer.close()
      await expect(attempt(0, 0, blockBytes)).rejects.toThrow('no commit after close')
    }))

  it('close waits for the write under way', () =>
    run(async bench => {
      const path = await slotOf(bench, '1')
      const writer = bench.platform.openCommitWriter(2, blockBytes)
      writer.arenas[0]!.fill(9)
      const write = writer.write(0, 0, blockBytes, path, 0)
      await Promise.all([writer.close(), write])
      expect((await bench.platform.files.readSmall(path))![0]).toBe(9)
    }))
})
