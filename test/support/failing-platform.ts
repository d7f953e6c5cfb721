import type { Files, RandomAccessFile } from '../../src/platform/files.ts'
import type { Platform } from '../../src/platform/platform.ts'

export interface FailingPlatform {
  readonly platform: Platform
  /** What was opened through it and is not closed yet. */
  readonly open: ReadonlySet<string>
  /** The call that failed; undefined when fewer were made. */
  failed(): string | undefined
}

/** `platform`, of which call number `failingCall` to files, network and openers rejects with `code`, once. */
export const failingPlatform = (platform: Platform, failingCall: number, code: string): FailingPlatform => {
  const open = new Set<string>()
  let calls = 0
  let opened = 0
  let failed: string | undefined

  const check = (what: string): void => {
    if (++calls !== failingCall) return
    failed = what
    throw Object.assign(new Error(`${code}: ${what}`), { code })
  }
  /** A `close` that says so. */
  const closing = (what: string, close: () => Promise<void>): (() => Promise<void>) => {
    const name = `${what} ${++opened}`
    open.add(name)
    return async () => {
      await close()
      open.delete(name)
    }
  }

  const file = (inner: RandomAccessFile): RandomAccessFile => {
    const { path } = inner
    const checked =
      <Args extends readonly unknown[], Result>(name: string, run: (...args: Args) => Promise<Result>) =>
      async (...args: Args): Promise<Result> => {
        check(`${name} ${path}`)
        return run(...args)
      }
    return {
      path,
      size: checked('size', () => inner.size()),
      read: checked('read', (target: Uint8Array, position: number) => inner.read(target, position)),
      write: checked('write', (source: Uint8Array, position: number) => inner.write(source, position)),
      sync: checked('sync', () => inner.sync()),
      close: closing(path, () => inner.close()),
    }
  }
  const checkedFiles = Object.fromEntries(
    Object.entries(platform.files).map(([name, run]) => [
      name,
      async (...args: unknown[]) => {
        check(`${name} ${String(args[0])}`)
        return (run as (...args: unknown[]) => unknown)(...args)
      },
    ]),
  ) as unknown as Files
  const files: Files = { ...checkedFiles, open: async (...args) => file(await checkedFiles.open(...args)) }

  return {
    platform: {
      ...platform,
      files,
      network: {
        ...platform.network,
        listen: async (...args) => {
          check('listen')
          const listener = await platform.network.listen(...args)
          return { address: listener.address, close: closing('listener', () => listener.close()) }
        },
      },
      openCommitWriter: (...args) => {
        const writer = platform.openCommitWriter(...args)
        return {
          arenas: writer.arenas,
          write: async (...commit) => {
            check('commit')
            await writer.write(...commit)
          },
          handOver: async (...commit) => {
            check('hand-over')
            await writer.handOver(...commit)
          },
          sync: async path => {
            check('sync of commits')
            await writer.sync(path)
          },
          release: path => writer.release(path),
          close: closing('commit writer', () => writer.close()),
        }
      },
      openCheckpointStore: async (...args) => {
        check('openCheckpointStore')
        const store = await platform.openCheckpointStore(...args)
        return {
          get: key => store.get(key),
          entries: prefix => store.entries(prefix),
          write: changes => store.write(changes),
          usedBytes: () => store.usedBytes(),
          close: closing('checkpoint store', () => store.close()),
        }
      },
    },
    open,
    failed: () => failed,
  }
}
