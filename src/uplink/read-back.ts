import type { Broker } from '../broker/broker.ts'
import type { Cluster } from '../client/cluster.ts'
import { ConnectionLost } from '../client/kafka-error.ts'
import { PartitionReader } from '../client/partition-reader.ts'
import type { Clock } from '../platform/clock.ts'
import type { CentralSpan, OffsetSpan, UplinkView, UpstreamPosition } from '../state/uplink.ts'
import type { Ancestor } from '../storage/meta.ts'
import type { LogRecord, RecordHeader } from '../wire/kafka/records.ts'
import type { Judgement, TargetFacts } from './audit-equations.ts'
import { commonEndOfStart } from './inheritance.ts'
import type { Lane } from './lane.ts'
import { LocalRecords, localReadBytes } from './local-records.ts'
import { originOf, type RecordOrigin } from './origin-headers.ts'
import { judgePlace, type PlaceFindings } from './read-back-findings.ts'
import { ownSpans } from './skip.ts'

export interface ReadBackParts {
  readonly broker: Broker
  readonly clock: Clock
  readonly view: UplinkView
  readonly cluster: Cluster
  readonly gatewayId: string
  /** The logs that this one was made of, oldest first; absent: none. */
  readonly ancestors?: readonly Ancestor[]
  /** Told how many of the records are read; throws when nobody waits for the end any more. */
  readonly tell: (read: number, inAll: number) => void
}

/** What one lane has in one partition of its target. */
export interface Share {
  readonly lane: Lane
  readonly position: UpstreamPosition
  readonly span: CentralSpan
}

/** A partition of a target, and whose records stand in it. */
export interface Place {
  readonly target: string
  readonly partition: number
  readonly facts: TargetFacts
  readonly logStart: number
  readonly shares: readonly Share[]
}

const fetchBytes = 1 << 20
const maxWaitMs = 500
/** Compared without a pause. */
const recordsAtOnce = 500
/** A transaction of somebody else may hold back what is behind it for some time. */
const mostEmptyAnswers = 120

/**
 * Reads what the central cluster has of this gateway's records, place by place, and compares it with the ledger and with what is still here. Held are
 * one fetch and a piece of the log for each lane of the place, whatever the number of records.
 */
export const readBack = async (
  parts: ReadBackParts,
  places: readonly Place[],
): Promise<ReadonlyMap<Lane, Judgement>> => {
  const inAll = places.reduce((sum, place) => sum + expectedIn(place), 0)
  const judgements = new Map<Lane, Judgement>()
  let read = 0
  for (const place of places) {
    const heldBytes = fetchBytes + place.shares.length * localReadBytes
    parts.broker.memory.take(heldBytes)
    try {
      const comparison = new PlaceComparison(parts, place)
      await readPlace(parts, place, async records => {
        for (const [index, record] of records.entries()) {
          if (index % recordsAtOnce === recordsAtOnce - 1) await turnOfDevices(parts.clock)
          await comparison.take(record)
        }
        parts.tell(read + Math.min(comparison.found, expectedIn(place)), inAll)
      })
      const { lane } = place.shares[0]!
      const known = judgements.get(lane) ?? { notes: [], unexplained: [], losses: [] }
      judgements.set(lane, judgePlace(known, place, await comparison.findings()))
    } finally {
      parts.broker.memory.give(heldBytes)
    }
    read += expectedIn(place)
    parts.tell(read, inAll)
  }
  return judgements
}

/** They come first: one fetch may bring a hundred thousand records. */
const turnOfDevices = (clock: Clock): Promise<void> => new Promise(resolve => clock.afterIo(resolve))

const expectedIn = ({ shares }: Place): number => shares.reduce((sum, { span }) => sum + span.records, 0)

const readPlace = async (
  { cluster, clock }: ReadBackParts,
  { target, partition, facts, logStart, shares }: Place,
  take: (records: readonly LogRecord[]) => Promise<void>,
): Promise<void> => {
  const first = Math.min(...shares.map(({ span }) => span.first))
  const last = Math.max(...shares.map(({ span }) => span.last))
  const options = { maxWaitMs, maxBytes: fetchBytes, readCommitted: true }
  const source = { topic: target, partition, topicId: facts.id }
  const reader = new PartitionReader(cluster, source, Math.max(first, logStart), options)
  for (let empty = 0; reader.position <= last; ) {
    const before = reader.position
    const records = await reader.read()
    await take(records.filter(({ offset }) => offset <= last))
    empty = reader.position === before ? empty + 1 : 0
    if (reader.highWatermark >= 0 && reader.position >= reader.highWatermark) return
    if (empty > mostEmptyAnswers)
      throw new ConnectionLost(`partition ${partition} of ${target} cannot be read from offset ${reader.position} on`)
    await turnOfDevices(clock)
  }
}

/** The records of one place, one after the other, against those of its lanes. */
class PlaceComparison {
  readonly #parts: ReadBackParts
  readonly #place: Place
  readonly #shares: readonly ShareComparison[]
  /** Without the name of an origin and not as they stand here (or no longer here): with the name of this gateway, and without any. */
  #ours = 0
  #anonymous = 0

  constructor(parts: ReadBackParts, place: Place) {
    this.#parts = parts
    this.#place = place
    this.#shares = place.shares.map(share => new ShareComparison(parts, place, share))
  }

  get found(): number {
    return this.#shares.reduce((sum, { found }) => sum + found, this.#ours + this.#anonymous)
  }

  async take(record: LogRecord): Promise<void> {
    const origin = originOf(record.headers)
    if (origin !== undefined) {
      await this.#shares.find(share => share.isOf(origin))?.named(origin, record)
      return
    }
    for (const share of this.#shares) if (await share.matches(record)) return
    const gateway = gatewayIn(record.headers)
    if (gateway === undefined) this.#anonymous++
    else if (gateway === this.#parts.gatewayId) this.#ours++
  }

  async findings(): Promise<PlaceFindings> {
    const shares = this.#shares
    const missing = await Promise.all(shares.map(share => share.missing()))
    return {
      expected: expectedIn(this.#place),
      found: this.found,
      anonymous: this.#anonymous,
      repeated: shares.reduce((sum, { repeated }) => sum + repeated, 0),
      different: shares.reduce((sum, { different }) => sum + different, 0),
      firstDifferent: shares.find(({ firstDifferent }) => firstDifferent !== undefined)?.firstDifferent,
      firstMissing: missing.find(offset => offset !== undefined),
    }
  }
}

/** What of one lane has been found in one place. */
class ShareComparison {
  found = 0
  repeated = 0
  different = 0
  firstDifferent: { readonly offset: number; readonly centralOffset: number } | undefined
  readonly #parts: ReadBackParts
  readonly #share: Share
  readonly #records: LocalRecords
  /** All records of the lane go to this place in their order, and none was left out: the next one due is known. */
  readonly #isWhole: boolean
  readonly #skipped: readonly OffsetSpan[]
  /** Offset of the next record that is due. */
  #next: number
  /** The record there, once it was read: one that does not come is not read again for each that does. */
  #nextRecord: LogRecord | undefined
  #last = -1

  constructor(parts: ReadBackParts, { partition, logStart, facts }: Place, share: Share) {
    const { broker, view } = parts
    const { lane, position, span } = share
    const { thinned = 0, expired = 0, parent = 0 } = position.unsent
    const isAlone = Object.keys(position.central).length === 1 && partition === lane.partition
    const isInOrder = position.ahead === undefined && lane.rule.order === 'oldest-first'
    const isComplete = logStart <= span.first && facts.retention?.compacts !== true
    const isFirst = position.elsewhere.renamed + position.elsewhere.remade === 0
    this.#isWhole = isAlone && isInOrder && isComplete && isFirst && thinned + expired === 0
    this.#parts = parts
    this.#share = share
    this.#records = new LocalRecords(broker, lane.id)
    this.#skipped = ownSpans(view, lane)
    // what a parent brought up stands elsewhere
    this.#next = Math.max(parent, this.#records.logStart)
  }

  isOf(origin: RecordOrigin): boolean {
    const { lane } = this.#share
    const { topic, topicId, partition } = origin
    return topic === lane.topic && topicId === lane.topicId && partition === lane.partition && this.#isOurs(origin)
  }

  /** This log sent it, or a parent did of which the positions did not say so. */
  #isOurs({ logId, incarnation, offset }: RecordOrigin): boolean {
    const { broker, view, ancestors = [] } = this.#parts
    if (logId === broker.logId) return true
    const index = ancestors.findIndex(ancestor => ancestor.logId === logId)
    const { lane, position } = this.#share
    if (index < 0 || offset < (position.unsent.parent ?? 0)) return false
    return offset < (commonEndOfStart({ broker, view, ancestors }, lane.id, incarnation, index) ?? 0)
  }

  /** A record that says which one it is. */
  async named({ offset }: RecordOrigin, record: LogRecord): Promise<void> {
    const { span, position } = this.#share
    if (record.offset < span.first || record.offset > span.last) return
    this.found++
    // before that they may stand in another order, or twice without anybody's fault
    if (position.named !== undefined && offset >= position.named && offset <= this.#last) this.repeated++
    this.#last = Math.max(this.#last, offset)
    const local = offset < this.#records.logStart ? undefined : await this.#records.atOrBehind(offset)
    if (local?.offset === offset && !areSame(local, record)) {
      this.different++
      this.firstDifferent ??= { offset, centralOffset: record.offset }
    }
    if ((await this.#due())?.offset === offset) this.#next = offset + 1
  }

  /** Is the record the next one that is due? */
  async matches(record: LogRecord): Promise<boolean> {
    const { span } = this.#share
    if (record.offset < span.first || record.offset > span.last) return false
    const due = await this.#due()
    if (due === undefined || !areSame(due, record)) return false
    this.found++
    this.#next = due.offset + 1
    return true
  }

  /** Offset here of the first record that was due and did not come; undefined: there is none, or nobody can tell. */
  async missing(): Promise<number | undefined> {
    return (await this.#due())?.offset
  }

  async #due(): Promise<LogRecord | undefined> {
    if (!this.#isWhole) return undefined
    for (;;) {
      const known = this.#nextRecord
      const isThere = known !== undefined && known.offset >= Math.max(this.#next, this.#records.logStart)
      const due = isThere ? known : await this.#records.atOrBehind(this.#next)
      this.#nextRecord = due
      if (due === undefined || due.offset > this.#share.position.last) return undefined
      const skipped = this.#skipped.find(({ first, last }) => due.offset >= first && due.offset <= last)
      if (skipped === undefined) return due
      this.#next = skipped.last + 1
    }
  }
}

const gatewayIn = (headers: readonly RecordHeader[]): string | undefined =>
  headers.findLast(({ key }) => key === 'gateway')?.value?.toString()

const areSame = (one: LogRecord, other: LogRecord): boolean =>
  isSame(one.key, other.key) && isSame(one.value, other.value)

const isSame = (one: Buffer | null, other: Buffer | null): boolean =>
  one === null || other === null ? one === other : one.equals(other)
