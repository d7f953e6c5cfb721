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
  /** The footer of a segment is on the device, or there will never be one. */
  onFooter(segment: Segment): void
  /** All of the segment's slot is prepared; false when the log closes before. */
  whenPrepared(segment: Segment): Promise<boolean>
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

  /** Writes footers that the last run left out, and a checkpoint. */
  begin(): void {
    for (const segment of this.#source.segments) if (segment.sealed && !segment.hasFooter) this.sealed(segment)
    this.request()
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

  /** Every segment that was sealed has its footer. */
  footersWritten(): Promise<void> {
    return this.#footers
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
    // zeros would go over it
    if (!(await this.#source.whenPrepared(segment))) return
    const fields = { segment: segment.sequence }
    try {
      if (!(await writeFooter(segment, this.#source.logAgeSeconds())))
        this.#logger.warn(fields, 'a segment has no room for its footer')
    } catch (error) {
      // only an index: whoever needs it scans the segment
      this.#logger.error({ ...fields, error: String(error) }, 'the footer of a segment cannot be written')
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
