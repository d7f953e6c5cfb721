import type { Broker } from '../../broker/broker.ts'
import { type CommandOutcome, reportRecord } from '../../broker/command-report.ts'
import { BrokerError } from '../../core/errors.ts'
import type { Clock } from '../../platform/clock.ts'
import type { DeliveryPlace, DownlinkView } from '../../state/downlink.ts'
import type { StateLog } from '../../state/state-log.ts'
import type { StateChange } from '../../state/view.ts'
import type { RecordAppend } from '../../storage/log.ts'

export interface DeliveryLogParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: DownlinkView
  readonly clock: Clock
  readonly gatewayId: string
  /** Topic that is told what became of each record. */
  readonly report: string | undefined
  /** What no device has yet, ascending; the records that are settled are not among it. */
  readonly pending: () => Iterable<number>
}

interface Settled {
  readonly offset: number
  /** Undefined where nobody is told. */
  readonly outcome: CommandOutcome | undefined
}

const retryMs = 200
/** Whatever `commit.max.bytes` is, they fit. */
const changesPerWrite = 100
const settledPerWrite = 25
/** While so many wait for a log that has no room, nothing more is handed to devices. */
const most = 1000

/**
 * What is known of a partition's deliveries, in the log: a position, behind the highest record that a device has, and each record below it that
 * none has. What becomes of a record, and the report of it, are written together, once in a turn of the event loop.
 */
export class DeliveryLog {
  readonly #parts: DeliveryLogParts
  readonly #place: DeliveryPlace
  #settled: Settled[] = []
  #isScheduled = false

  constructor(parts: DeliveryLogParts, place: DeliveryPlace) {
    this.#parts = parts
    this.#place = place
  }

  /** Undefined: the rule has not begun. */
  get position(): number | undefined {
    return this.#parts.view.delivered(this.#place)
  }

  /** What is below the position and has not come to its end, ascending. */
  get waiting(): number[] {
    return this.#parts.view.waiting(this.#place).filter(offset => !this.#isSettled(offset))
  }

  /** It has not come to its end, as far as this start or the log knows. */
  isUnsettled(offset: number): boolean {
    const { position } = this
    if (position === undefined || this.#isSettled(offset)) return false
    return offset >= position || this.#parts.view.isWaiting(this.#place, offset)
  }

  /** That is not in the log yet. */
  #isSettled(offset: number): boolean {
    return this.#settled.some(one => one.offset === offset)
  }

  /** Too much is settled that could not be written. */
  get isFull(): boolean {
    return this.#settled.length >= most
  }

  /** The rule begins here. Throws what `StateLog.write` throws. */
  begin(offset: number): Promise<void> {
    const { state, view } = this.#parts
    return state.whenDurable(state.write([view.putDelivered(this.#place, offset)]))
  }

  /** The record has come to its end. */
  settle(offset: number, outcome: CommandOutcome): void {
    const { report, clock } = this.#parts
    this.#settled.push({ offset, outcome: report === undefined ? undefined : outcome })
    if (this.#isScheduled) return
    this.#isScheduled = true
    clock.afterIo(() => this.#write())
  }

  /** Writes what is settled; what finds no room now is written later. After a crash such records are delivered again. */
  #write(): void {
    const { clock } = this.#parts
    try {
      while (this.#settled.length > 0) this.#writeSome(this.#settled.slice(0, settledPerWrite))
      this.#isScheduled = false
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      clock.after(retryMs, () => this.#write())
    }
  }

  #writeSome(settled: readonly Settled[]): void {
    const { state, view } = this.#parts
    const position = this.position ?? 0
    const last = Math.max(...settled.map(({ offset }) => offset))
    if (last >= position) this.#passOver(position, last, settled)
    const noted = settled.filter(({ offset }) => view.isWaiting(this.#place, offset))
    const changes = noted.map(({ offset }) => view.removeWaiting(this.#place, offset))
    if (last >= position) changes.push(view.putDelivered(this.#place, last + 1))
    const reports = settled.flatMap(({ outcome }) => (outcome === undefined ? [] : this.#reportOf(outcome)))
    state.write(changes, reports)
    this.#settled = this.#settled.slice(settled.length)
  }

  /** Notes what the position is about to pass, before it does: what is noted and not passed counts once. */
  #passOver(position: number, last: number, settled: readonly Settled[]): void {
    const { state, view, pending } = this.#parts
    const later = this.#settled.slice(settled.length).map(({ offset }) => offset)
    let changes: StateChange[] = []
    for (const offset of [...pending(), ...later]) {
      if (offset < position || offset > last || view.isWaiting(this.#place, offset)) continue
      changes.push(view.putWaiting(this.#place, offset, Math.floor(state.logAge)))
      if (changes.length < changesPerWrite) continue
      state.write(changes)
      changes = []
    }
    if (changes.length > 0) state.write(changes)
  }

  #reportOf(outcome: CommandOutcome): RecordAppend {
    const { broker, clock, gatewayId, report } = this.#parts
    return reportRecord(broker.topics.ensure(report!), gatewayId, outcome, clock.wallMs())
  }
}
