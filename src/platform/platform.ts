import type { OpenCheckpointStore } from './checkpoint-store.ts'
import type { Clock } from './clock.ts'
import type { OpenCommitWriter } from './commit-writer.ts'
import type { Files } from './files.ts'
import type { Logger } from './logger.ts'
import type { Network } from './network.ts'
import type { Random } from './random.ts'

/** Everything of the system that the layers above may use. `test/support` has the simulated twin. */
export interface Platform {
  readonly clock: Clock
  readonly files: Files
  readonly network: Network
  readonly random: Random
  readonly logger: Logger
  readonly openCommitWriter: OpenCommitWriter
  readonly openCheckpointStore: OpenCheckpointStore
}
