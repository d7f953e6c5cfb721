import { runGateway } from '../../src/cli/run-gateway.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { CommitWriter, OpenCommitWriter } from '../../src/platform/commit-writer.ts'
import type { Files } from '../../src/platform/files.ts'
import { openLogger } from '../../src/platform/node/logger.ts'
import { nodePlatform } from '../../src/platform/node/platform.ts'

// `brooklet serve` with a disk that stalls or fails on command, bundled and run as a process of its own (faulty-gateway-process.ts).
// argv: settings as key=value, and `full`: no slot can be prepared.

export type DiskCommand = 'stall' | 'release' | 'fail'

let released = Promise.resolve()
let release = (): void => {}
let fails = false

const withCode = (code: string): Error => Object.assign(new Error(`${code}: on command`), { code })

/** Commits wait while the disk is stalled; what is under way at that time is finished. */
const faultyWriter =
  (open: OpenCommitWriter): OpenCommitWriter =>
  (arenaCount, arenaBytes) => {
    const writer: CommitWriter = open(arenaCount, arenaBytes)
    const faulty =
      <Args extends readonly unknown[]>(run: (...args: Args) => Promise<void>) =>
      async (...args: Args): Promise<void> => {
        await released
        if (fails) throw withCode('EIO')
        await run(...args)
      }
    return {
      arenas: writer.arenas,
      write: faulty((...commit: Parameters<CommitWriter['write']>) => writer.write(...commit)),
      handOver: faulty((...commit: Parameters<CommitWriter['handOver']>) => writer.handOver(...commit)),
      sync: faulty((path: string) => writer.sync(path)),
      release: path => writer.release(path),
      close: () => writer.close(),
    }
  }

/** A file system without room for slots. */
const fullFiles = (files: Files): Files => ({
  ...files,
  async open(path, options) {
    const file = await files.open(path, options)
    if (!path.endsWith('.slot')) return file
    return {
      path,
      size: () => file.size(),
      read: (target, position) => file.read(target, position),
      write: () => Promise.reject(withCode('ENOSPC')),
      sync: () => file.sync(),
      close: () => file.close(),
    }
  },
})

process.on('message', (command: DiskCommand) => {
  if (command === 'release') release()
  else if (command === 'fail') fails = true
  else if (command === 'stall') {
    released = new Promise(resolve => {
      release = resolve
    })
  }
})
process.on('disconnect', () => process.exit())

const settings = process.argv.slice(2)
const loaded = loadSettings({
  environment: {},
  flags: new Map(),
  set: settings.filter(text => text !== 'full'),
  memoryBytes: 1 << 30,
  diskBytes: () => undefined,
})
const platform = nodePlatform(await openLogger({ level: 'info', format: 'json' }))
await runGateway(loaded, {
  ...platform,
  openCommitWriter: faultyWriter(platform.openCommitWriter),
  files: settings.includes('full') ? fullFiles(platform.files) : platform.files,
})
