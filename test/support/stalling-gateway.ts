import { loadSettings } from '../../src/config/load.ts'
import { startGateway } from '../../src/gateway.ts'
import type { CommitWriter, OpenCommitWriter } from '../../src/platform/commit-writer.ts'
import { openLogger } from '../../src/platform/node/logger.ts'
import { nodePlatform } from '../../src/platform/node/platform.ts'

// A gateway with a disk that stalls on command, bundled and run as a process of its own: its memory is nobody else's.
// argv: settings as key=value. Told 'stall' and 'release'; says { addresses } once.

let released = Promise.resolve()
let release = (): void => {}

/** Commits wait while the disk is stalled; what is under way at that time is finished. */
const stalling =
  (open: OpenCommitWriter): OpenCommitWriter =>
  (arenaCount, arenaBytes) => {
    const writer: CommitWriter = open(arenaCount, arenaBytes)
    return {
      arenas: writer.arenas,
      write: (...commit) => released.then(() => writer.write(...commit)),
      release: path => writer.release(path),
      close: () => writer.close(),
    }
  }

process.on('message', (command: 'stall' | 'release') => {
  if (command === 'release') release()
  else {
    released = new Promise(resolve => {
      release = resolve
    })
  }
})
process.on('disconnect', () => process.exit())

const loaded = loadSettings({
  environment: {},
  flags: new Map(),
  set: process.argv.slice(2),
  memoryBytes: 1 << 30,
  diskBytes: () => undefined,
})
const platform = nodePlatform(await openLogger({ level: 'warn', format: 'json' }))
const gateway = await startGateway(loaded, { ...platform, openCommitWriter: stalling(platform.openCommitWriter) })
process.send!({ addresses: gateway.addresses })
