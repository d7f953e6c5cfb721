import type { Logger } from '../logger.ts'
import type { Platform } from '../platform.ts'
import { openLmdbCheckpoints } from './checkpoint-store.ts'
import { nodeClock } from './clock.ts'
import { openThreadedCommitWriter } from './commit-writer.ts'
import { nodeFiles } from './files.ts'
import { nodeNetwork } from './network.ts'
import { nodeRandom } from './random.ts'

/** The real system. */
export const nodePlatform = (logger: Logger): Platform => ({
  clock: nodeClock,
  files: nodeFiles,
  network: nodeNetwork,
  random: nodeRandom,
  logger,
  openCommitWriter: openThreadedCommitWriter,
  openCheckpointStore: openLmdbCheckpoints(logger),
})
