import { type FileHandle, open } from 'node:fs/promises'
import { runGateway } from '../../src/cli/run-gateway.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { CommitWriter, OpenCommitWriter } from '../../src/platform/commit-writer.ts'
import { openLogger } from '../../src/platform/node/logger.ts'
import { nodePlatform } from '../../src/platform/node/platform.ts'

// `brooklet serve` with the bug that power cuts are there to find: a commit counts as durable once the kernel has it. Bundled and run as a
// process of its own; arguments as those of `brooklet serve --set KEY=VALUE ...`.

const unsyncedWriter: OpenCommitWriter = (arenaCount, arenaBytes) => {
  const arenas = Array.from({ length: arenaCount }, () => Buffer.alloc(arenaBytes))
  const files = new Map<string, FileHandle>()
  const handOver: CommitWriter['handOver'] = async (arena, start, length, path, position) => {
    const file = files.get(path) ?? (await open(path, 'r+'))
    files.set(path, file)
    await file.write(arenas[arena]!, start, length, position)
  }
  return {
    arenas,
    write: handOver,
    handOver,
    async sync() {},
    release(path) {
      files.get(path)?.close()
      files.delete(path)
    },
    async close() {
      for (const file of files.values()) await file.close()
    },
  }
}

const loaded = loadSettings({
  environment: {},
  flags: new Map(),
  set: process.argv.filter(word => word.includes('=')),
  memoryBytes: 1 << 30,
  diskBytes: () => undefined,
})
const platform = nodePlatform(await openLogger({ level: 'info', format: 'json' }))
await runGateway(loaded, { ...platform, openCommitWriter: unsyncedWriter })
