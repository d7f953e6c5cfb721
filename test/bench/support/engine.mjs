// The storage engine by itself, for benches that measure it below the protocols: bundled beside the product, where its thread and its packages
// are found.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const parts = {
  openCommitLog: 'storage/open-commit-log.ts',
  openThreadedCommitWriter: 'platform/node/commit-writer.ts',
  nodeFiles: 'platform/node/files.ts',
  nodeClock: 'platform/node/clock.ts',
  nodeRandom: 'platform/node/random.ts',
  Metrics: 'core/metrics.ts',
  MemoryBudget: 'core/memory-budget.ts',
  encodeBatch: 'wire/kafka/batch-encoding.ts',
  recoverLog: 'storage/recover-log.ts',
  BatchReader: 'storage/batch-reader.ts',
  host: 'platform/node/host.ts',
}

/** What `parts` names, of this checkout. */
export const loadEngine = async () => {
  const contents = Object.entries(parts)
    .map(([name, path]) => `export { ${name} } from './src/${path}'`)
    .join('\n')
  const outfile = join(root, 'dist', 'bench-engine.mjs')
  const stdin = { contents, resolveDir: root, loader: 'ts' }
  await build({
    stdin,
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
  })
  try {
    return await import(outfile)
  } finally {
    await rm(outfile)
  }
}

const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger }

const checkpointsInMemory = () => {
  const values = new Map()
  return {
    get: key => values.get(key),
    *entries(prefix) {
      for (const key of [...values.keys()].sort()) if (key.startsWith(prefix)) yield [key, values.get(key)]
    },
    async write(changes) {
      for (const [key, value] of changes) {
        if (value === undefined) values.delete(key)
        else values.set(key, Buffer.from(value))
      }
    },
    usedBytes: () => 0,
    async close() {},
  }
}

/** The platform of a log whose checkpoints are in memory. */
export const enginePlatform = engine => {
  const { nodeClock: clock, nodeFiles: files, nodeRandom: random, openThreadedCommitWriter: openCommitWriter } = engine
  return { clock, files, random, logger, openCommitWriter, checkpoints: checkpointsInMemory() }
}
