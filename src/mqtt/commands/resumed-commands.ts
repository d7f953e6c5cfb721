import type { PartitionId } from '../../core/brand.ts'
import type { Place } from '../exchange.ts'
import type { Publication } from '../publication.ts'

/** Who gives the publications of QoS 2 exchanges that began before the start of the broker. */
export interface CommandSource {
  /** Undefined: it has come to its end, or has left the log. */
  resume(offset: number): Promise<Publication | undefined>
}

/** Deliver rules that wait for devices, by the partitions that they read. */
export class ResumedCommands {
  readonly #sources = new Map<PartitionId, CommandSource[]>()

  add(partition: PartitionId, source: CommandSource): void {
    this.#sources.set(partition, [...(this.#sources.get(partition) ?? []), source])
  }

  /**
   * The publication that the record was: of several rules that wait for it, by the first that gives a topic that is wanted. Undefined: none waits
   * for it.
   */
  async publicationAt(
    { partition, offset }: Place,
    isWanted: (topic: string) => boolean,
  ): Promise<Publication | undefined> {
    let first: Publication | undefined
    for (const source of this.#sources.get(partition) ?? []) {
      const publication = await source.resume(offset)
      if (publication !== undefined && isWanted(publication.topic)) return publication
      first ??= publication
    }
    return first
  }
}
