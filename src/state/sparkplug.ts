import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** A metric as the birth certificate names it: name, alias (null: none), number of its data type (0: not said). */
export type BornMetric = readonly [name: string, alias: number | string | null, datatype: number]

/** The names of an edge node or device by alias, and its data types by name. */
export interface BornMetrics {
  readonly names: ReadonlyMap<number | string, string>
  readonly datatypes: ReadonlyMap<string, number>
}

export interface SparkplugStatus {
  /** Born and not dead. */
  readonly online: boolean
  /** Counts the births of the edge node; a device is born as long as it has the number of its edge node. */
  readonly birth: number
  /** Of the birth of an edge node, to tell which birth a death is of; null: it had none. */
  readonly bdSeq: number | null
}

export interface SparkplugLimits {
  /** Edge nodes and devices. */
  readonly count: number
  readonly bytes: number
}

interface Entry {
  born: Buffer | undefined
  metrics: BornMetrics | undefined
  status: SparkplugStatus | undefined
}

const bornKeyTag = 1
const statusKeyTag = 2
const entryBytes = 256

/**
 * What edge nodes and devices of Sparkplug said when they were born, by path (`group/edge node` or `group/edge node/device`): later payloads name
 * their metrics by alias only. Keys: u8 1 and the path, value an array of `BornMetric`; u8 2 and the path, value `SparkplugStatus`.
 */
export class SparkplugView implements View {
  readonly name = 'sparkplug'
  readonly partition = internalPartitions.sparkplug
  /** The one of which nothing was said for longest comes first. */
  readonly #byPath = new Map<string, Entry>()
  #bytes = 0

  get size(): number {
    return this.#byPath.size
  }

  status(path: string): SparkplugStatus | undefined {
    return this.#byPath.get(path)?.status
  }

  /** What the birth certificate said; undefined: none is known. */
  metrics(path: string): BornMetrics | undefined {
    const entry = this.#byPath.get(path)
    if (entry?.born === undefined) return undefined
    entry.metrics ??= metricsOf(decodeState<readonly BornMetric[]>(entry.born))
    return entry.metrics
  }

  /**
   * The changes of a birth, none for what stands there already. Without room the dead go, those first that died longest ago; undefined: too many are
   * alive.
   */
  bear(
    path: string,
    metrics: readonly BornMetric[],
    status: SparkplugStatus,
    limits: SparkplugLimits,
  ): StateChange[] | undefined {
    const value = encodeState(metrics)
    const before = this.#byPath.get(path)
    const added = value.length - (before?.born?.length ?? 0) + (before === undefined ? entryBytes + path.length : 0)
    const forgotten = this.#makeRoom(path, before === undefined ? 1 : 0, added, limits)
    if (forgotten === undefined) return undefined
    const isSame = before?.born?.equals(value) === true
    const born = isSame ? [] : [{ view: this, key: keyOf(bornKeyTag, path), value }]
    return [...forgotten, ...born, this.putStatus(path, status)]
  }

  /** Removes the dead but `path` until there is room. */
  #makeRoom(path: string, count: number, bytes: number, limits: SparkplugLimits): StateChange[] | undefined {
    let leftCount = limits.count - this.size - count
    let leftBytes = limits.bytes - this.#bytes - bytes
    const hasRoom = (): boolean => (count === 0 || leftCount >= 0) && (bytes <= 0 || leftBytes >= 0)
    const changes: StateChange[] = []
    if (hasRoom()) return changes
    for (const [other, entry] of this.#byPath) {
      if (other === path || this.#isAlive(other, entry)) continue
      changes.push(...[bornKeyTag, statusKeyTag].map(tag => ({ view: this, key: keyOf(tag, other), value: null })))
      leftCount++
      leftBytes += bytesOf(other, entry)
      if (hasRoom()) return changes
    }
    return undefined
  }

  /** A device lives with the birth of its edge node. */
  #isAlive(path: string, { status }: Entry): boolean {
    const edge = this.#byPath.get(path.split('/', 2).join('/'))?.status
    return status?.online === true && edge?.online === true && status.birth === edge.birth
  }

  putStatus(path: string, status: SparkplugStatus): StateChange {
    return { view: this, key: keyOf(statusKeyTag, path), value: encodeState(status) }
  }

  apply(key: Buffer, value: Buffer | null): void {
    const path = key.toString('utf8', 1)
    const before = this.#byPath.get(path)
    const entry = before ?? { born: undefined, metrics: undefined, status: undefined }
    if (before !== undefined) this.#bytes -= bytesOf(path, before)
    this.#byPath.delete(path)
    if (key[0] === statusKeyTag) entry.status = value === null ? undefined : decodeState<SparkplugStatus>(value)
    else {
      // a copy, for the value may be a piece of a large batch
      entry.born = value === null ? undefined : Buffer.from(value)
      entry.metrics = undefined
    }
    if (entry.born === undefined && entry.status === undefined) return
    this.#byPath.set(path, entry)
    this.#bytes += bytesOf(path, entry)
  }

  *entries(): Iterable<StateRecord> {
    for (const [path, { born, status }] of this.#byPath) {
      if (born !== undefined) yield { key: keyOf(bornKeyTag, path), value: born }
      if (status !== undefined) yield this.putStatus(path, status)
    }
  }

  clear(): void {
    this.#byPath.clear()
    this.#bytes = 0
  }
}

const bytesOf = (path: string, { born }: Entry): number => entryBytes + path.length + (born?.length ?? 0)

const metricsOf = (born: readonly BornMetric[]): BornMetrics => ({
  names: new Map(born.flatMap(([name, alias]) => (alias === null ? [] : [[alias, name] as const]))),
  datatypes: new Map(born.map(([name, , datatype]) => [name, datatype])),
})

const keyOf = (tag: number, path: string): Buffer => Buffer.concat([Buffer.from([tag]), Buffer.from(path)])
