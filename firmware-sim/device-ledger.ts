import { SequenceSet } from './sequence-set.ts'

/** Readings counted by what became of them. Every reading made is in exactly one of acked, inDoubt, refused, lost, waiting. */
export interface LedgerCounts {
  made: number
  /** Acknowledged as the QoS promises: these must be found at the consumers. */
  acked: number
  /** Sent, and no acknowledgement seen: may or may not have arrived. With QoS 0 every reading sent. */
  inDoubt: number
  /** The gateway answered with an error (MQTT 5 reason code from 0x80): no promise. */
  refused: number
  /** Given up by the full offline buffer. */
  lostByPolicy: number
  /** Still in the offline buffer when the run ended. */
  waiting: number
  /** Readings sent more than once; with QoS 1 these may arrive more than once. */
  resent: number
}

/** One device's entry in JSON: counts, and the sequence numbers as ranges with both ends included. */
export interface DeviceEntry {
  readonly device: string
  readonly profile: string
  readonly qos: 0 | 1 | 2
  readonly made: number
  readonly sent: [number, number][]
  readonly acked: [number, number][]
  readonly refused: [number, number][]
  readonly lost: [number, number][]
  readonly resent: [number, number][]
}

/** What one device knows about its own readings. */
export class DeviceLedger {
  readonly device: string
  readonly profile: string
  readonly qos: 0 | 1 | 2
  readonly sent: SequenceSet
  readonly acked: SequenceSet
  readonly refused: SequenceSet
  readonly lost: SequenceSet
  readonly resent: SequenceSet
  /** Sequence number of the last reading made. */
  made: number

  constructor(entry: Pick<DeviceEntry, 'device' | 'profile' | 'qos'> & Partial<DeviceEntry>) {
    this.device = entry.device
    this.profile = entry.profile
    this.qos = entry.qos
    this.made = entry.made ?? 0
    this.sent = SequenceSet.fromRanges(entry.sent ?? [])
    this.acked = SequenceSet.fromRanges(entry.acked ?? [])
    this.refused = SequenceSet.fromRanges(entry.refused ?? [])
    this.lost = SequenceSet.fromRanges(entry.lost ?? [])
    this.resent = SequenceSet.fromRanges(entry.resent ?? [])
  }

  counts(): LedgerCounts {
    const { made, sent, acked, refused, lost, resent } = this
    return {
      made,
      acked: acked.size,
      inDoubt: sent.size - acked.size - refused.size,
      refused: refused.size,
      lostByPolicy: lost.size,
      waiting: made - sent.size - lost.size,
      resent: resent.size,
    }
  }

  toJSON(): DeviceEntry & { counts: LedgerCounts } {
    const { device, profile, qos, made } = this
    return {
      device,
      profile,
      qos,
      made,
      counts: this.counts(),
      sent: this.sent.ranges(),
      acked: this.acked.ranges(),
      refused: this.refused.ranges(),
      lost: this.lost.ranges(),
      resent: this.resent.ranges(),
    }
  }
}
