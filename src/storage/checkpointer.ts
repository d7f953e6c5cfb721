import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Logger } from '../platform/logger.ts'
import { type Checkpoint, CheckpointWriter } from './checkpoint.ts'
import { writeFooter } from './index-loader.ts'
import type { Segment } from './segment.ts'

/** Log between checkpoints; recovery scans about this much. */
const checkpointBytes = 4 * 1024 * 1024

/** What a checkpoint is made from. */
export interface CheckpointSource {
  readonly segments: readonly Segment[]
  /** Appends what the layers above want covered, and resolves when that is durable: with nothing behind it. False: no checkpoint now. */
  prepare(): Promise<boolean>
  /** The durable state now; undefined before there is any. */
  capture(): Checkpoint | undefined
  logAgeSeconds(): number
  /** The footer of a segment is on the device. */
  onFooter(segment: Segment): void
  /** The device refused a footer. */
  onFailure(error: unknown): void
}

/** Footers at each seal; checkpoints at each seal and every 4 MiB of log, one at a time. */
export class Checkpointer {
  readonly #source: CheckpointSource
  readonly #writer: CheckpointWriter
  readonly #logger: Logger
  #bytes = 0
  #running: Promise<void> | undefined
  #again = false
  #footers: Promise<void> = Promise.resolve()

  constructor(store: CheckpointStore, logId: string, source: CheckpointSource, logger: Logger) {
    this.#writer = new CheckpointWriter(store, logId)
    this.#source = source
    this.#logger = logger
  }

  /** So much log became durable. */
  grown(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes >= checkpointBytes) this.request()
  }

  /** The segment takes no more groups and all that it has are durable. */
  sealed(segment: Segment): void {
    this.#footers = this.#footers.then(() => this.#writeFooter(segment))
  }

  /** Writes a checkpoint, or another one after the one under way. */
  request(): void {
    this.#bytes = 0
    if (this.#running !== undefined) {
      this.#again = true
      return
    }
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      if (this.#again) {
        this.#again = false
        this.request()
      }
    })
  }

  /** Everything under way is done. */
  async settled(): Promise<void> {
    await this.#footers
    while (this.#running !== undefined) await this.#running
  }

  /** The checkpoint of a clean stop. */
  async last(): Promise<void> {
    await this.settled()
    await this.#write()
  }

  async #writeFooter(segment: Segment): Promise<void> {
    try {
      await writeFooter(segment, this.#source.logAgeSeconds())
    } catch (error) {
      this.#source.onFailure(error)
      return
    }
    this.#source.onFooter(segment)
    this.request()
  }

  async #run(): Promise<void> {
    try {
      if (await this.#source.prepare()) await this.#write()
    } catch (error) {
      // recovery does without; the log itself is not concerned
      this.#logger.warn({ error: String(error) }, 'a checkpoint was not written')
    }
  }

  async #write(): Promise<void> {
    const checkpoint = this.#source.capture()
    if (checkpoint !== undefined) await this.#writer.write(checkpoint, this.#source.segments)
  }
}
