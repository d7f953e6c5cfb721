import type { DeviceLedger } from './device-ledger.ts'
import { SequenceSet } from './sequence-set.ts'

/** One reading at a consumer: the device's name and the device's own sequence number. */
export interface Receipt {
  readonly device: string
  readonly seq: number
}

/** Ledger against receipts. `isClean` when the five kinds of fault are all zero. */
export interface Comparison {
  readonly isClean: boolean
  readonly received: number
  /** Acknowledged readings that no consumer got: data loss. */
  readonly missingAcked: number
  /** Second copies of readings that the device had sent again over QoS 1: permitted. */
  readonly permittedDuplicates: number
  /** Second copies that nothing explains: sent once, or not over QoS 1. */
  readonly unexplainedDuplicates: number
  /** Readings that were never sent, or come from no device of the fleet. */
  readonly unexpected: number
  /** Readings whose first copy came after a later reading of the device. */
  readonly orderViolations: number
  /** Readings in doubt that did arrive. */
  readonly inDoubtReceived: number
  /** Refused readings that arrived all the same. */
  readonly refusedReceived: number
  /** The first of the faults, as sentences. */
  readonly examples: readonly string[]
}

const maxExamples = 20

/** What consumers got from one device. */
interface Received {
  readonly set: SequenceSet
  greatest: number
}

export const compareReceipts = (
  devices: ReadonlyMap<string, DeviceLedger>,
  receipts: Iterable<Receipt>,
): Comparison => {
  const counts = { received: 0, missingAcked: 0, permittedDuplicates: 0, unexplainedDuplicates: 0, unexpected: 0 }
  const more = { orderViolations: 0, inDoubtReceived: 0, refusedReceived: 0 }
  const examples: string[] = []
  const example = (text: string) => {
    if (examples.length < maxExamples) examples.push(text)
  }
  const received = new Map<string, Received>()
  for (const { device, seq } of receipts) {
    counts.received++
    const page = devices.get(device)
    if (page === undefined || !page.sent.has(seq)) {
      counts.unexpected++
      example(`${device} ${seq} was never sent`)
      continue
    }
    const before = received.get(device) ?? { set: new SequenceSet(), greatest: 0 }
    received.set(device, before)
    if (!before.set.add(seq)) {
      const isPermitted = page.qos === 1 && page.resent.has(seq)
      counts[isPermitted ? 'permittedDuplicates' : 'unexplainedDuplicates']++
      if (!isPermitted) example(`${device} ${seq} came twice and was sent once`)
      continue
    }
    if (seq < before.greatest) {
      more.orderViolations++
      example(`${device} ${seq} came after ${before.greatest}`)
    }
    before.greatest = Math.max(before.greatest, seq)
    if (page.refused.has(seq)) more.refusedReceived++
    else if (!page.acked.has(seq)) more.inDoubtReceived++
  }
  for (const page of devices.values()) {
    const missing = page.acked.minus(received.get(page.device)?.set ?? new SequenceSet())
    counts.missingAcked += missing.size
    for (const [first, last] of missing.ranges())
      example(`${page.device} ${first} to ${last} was acknowledged and is missing`)
  }
  const { missingAcked, unexplainedDuplicates, unexpected } = counts
  const isClean = missingAcked + unexplainedDuplicates + unexpected + more.orderViolations === 0
  return { isClean, ...counts, ...more, examples }
}
