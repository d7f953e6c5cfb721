import type { PartitionId } from '../../core/brand.ts'

/** All of a partition from `local` on stands upstream at `central` or behind it. */
export interface Bookmark {
  readonly local: number
  readonly central: number
}

const mostBookmarks = 256

/** Where readers have ended: who comes back to such a place need not look for it. */
export class Bookmarks {
  /** Oldest first. */
  readonly #marks: (Bookmark & { readonly partition: PartitionId; readonly targetId: string })[] = []

  put(partition: PartitionId, targetId: string, { local, central }: Bookmark): void {
    this.#marks.push({ partition, targetId, local, central })
    if (this.#marks.length > mostBookmarks) this.#marks.shift()
  }

  /** The furthest central offset that leaves out nothing of the partition from `local` on; undefined: none is known. */
  at(partition: PartitionId, targetId: string, local: number): number | undefined {
    const central = this.#marks
      .filter(mark => mark.partition === partition && mark.targetId === targetId && mark.local <= local)
      .map(mark => mark.central)
    return central.length === 0 ? undefined : Math.max(...central)
  }
}
