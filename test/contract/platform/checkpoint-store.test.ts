import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { implementations } from './implementations.ts'

const MiB = 1024 * 1024

describe.each(implementations)('CheckpointStore: $name', ({ run }) => {
  it('is empty when new, and keeps what was written over a restart', () =>
    run(async ({ platform, directory }) => {
      const views = join(directory, 'views')
      const first = await platform.openCheckpointStore(views, MiB)
      expect([...first.entries('')]).toEqual([])
      expect(first.get('log/state')).toBeUndefined()
      await first.write(
        new Map([
          ['log/state', Buffer.from([1, 2])],
          ['empty', Buffer.alloc(0)],
        ]),
      )
      await first.close()
      const second = await platform.openCheckpointStore(views, MiB)
      expect(second.get('log/state')).toEqual(Buffer.from([1, 2]))
      expect(second.get('empty')).toEqual(Buffer.alloc(0))
      await second.close()
    }))

  it('lists a prefix in key order, as long as it lasts', () =>
    run(async ({ platform, directory }) => {
      const store = await platform.openCheckpointStore(join(directory, 'views'), MiB)
      const keys = ['segment/10', 'segment/9', 'segment', 'segment0', 'a', 'segment/1', 'zzz']
      await store.write(new Map(keys.map(key => [key, Buffer.from(key)])))
      expect([...store.entries('segment/')].map(([key, value]) => [key, value.toString()])).toEqual([
        ['segment/1', 'segment/1'],
        ['segment/10', 'segment/10'],
        ['segment/9', 'segment/9'],
      ])
      expect([...store.entries('')].map(([key]) => key)).toEqual([...keys].sort())
      await store.close()
    }))

  it('replaces and removes in one write, and takes the bytes as they are at the call', () =>
    run(async ({ platform, directory }) => {
      const store = await platform.openCheckpointStore(join(directory, 'views'), MiB)
      await store.write(
        new Map([
          ['a', Buffer.from('1')],
          ['b', Buffer.from('1')],
        ]),
      )
      const value = Buffer.from('2')
      const written = store.write(
        new Map<string, Buffer | undefined>([
          ['a', undefined],
          ['none', undefined],
          ['b', value],
        ]),
      )
      value.fill('x')
      await written
      expect([...store.entries('')].map(([key, bytes]) => `${key}=${bytes}`)).toEqual(['b=2'])
      await store.close()
    }))

  it('refuses what does not fit, whole, with ENOSPC', () =>
    run(async ({ platform, directory }) => {
      const store = await platform.openCheckpointStore(join(directory, 'views'), MiB)
      await store.write(new Map([['a', Buffer.from('old')]]))
      const tooMuch = new Map([
        ['a', Buffer.from('new')],
        ['big', Buffer.alloc(MiB)],
      ])
      await expect(store.write(tooMuch)).rejects.toMatchObject({ code: 'ENOSPC' })
      expect([...store.entries('')].map(([key, bytes]) => `${key}=${bytes}`)).toEqual(['a=old'])
      await store.close()
    }))

  it('takes the same values again and again within its bytes', () =>
    run(async ({ platform, directory }) => {
      const store = await platform.openCheckpointStore(join(directory, 'views'), MiB)
      for (let round = 0; round < 20; round++) {
        await store.write(new Map([...Array(8).keys()].map(key => [`view/${key}`, Buffer.alloc(40_000, round)])))
      }
      expect(store.get('view/7')).toEqual(Buffer.alloc(40_000, 19))
      await store.close()
    }))
})
