import { type Comparison, compareReceipts, type Receipt } from './comparison.ts'
import { type DeviceEntry, DeviceLedger, type LedgerCounts } from './device-ledger.ts'

/** The ledger as written with `--json` and `--ledger`. */
export interface LedgerFile {
  readonly format: 1
  readonly seed: number
  readonly startMs: number
  readonly totals: LedgerCounts
  readonly devices: readonly DeviceEntry[]
}

/**
 * What a fleet made and what became of it, as the devices saw it. A test holds it against what the consumers got: every
 * acknowledged sequence number must be there.
 */
export class Ledger {
  readonly seed: number
  readonly startMs: number
  private readonly byDevice = new Map<string, DeviceLedger>()

  constructor(seed: number, startMs: number) {
    this.seed = seed
    this.startMs = startMs
  }

  /** Reads back what `toJSON` gave. @throws where it is something else. */
  static fromJSON(file: LedgerFile): Ledger {
    if (file.format !== 1) throw new Error(`unknown ledger format ${String(file.format)}`)
    const ledger = new Ledger(file.seed, file.startMs)
    for (const entry of file.devices) ledger.byDevice.set(entry.device, new DeviceLedger(entry))
    return ledger
  }

  /** Opens a device's page. @throws where it has one: two devices of one name would hide each other's losses. */
  open(device: string, profile: string, qos: 0 | 1 | 2): DeviceLedger {
    if (this.byDevice.has(device)) throw new Error(`device ${device} is in the fleet twice`)
    const page = new DeviceLedger({ device, profile, qos })
    this.byDevice.set(device, page)
    return page
  }

  get devices(): IterableIterator<DeviceLedger> {
    return this.byDevice.values()
  }

  device(name: string): DeviceLedger | undefined {
    return this.byDevice.get(name)
  }

  totals(): LedgerCounts {
    return sumOfCounts([...this.devices].map(device => device.counts()))
  }

  /** Holds what consumers received against what the devices know. Receipts of one device in the order of their reading. */
  compare(receipts: Iterable<Receipt>): Comparison {
    return compareReceipts(this.byDevice, receipts)
  }

  toJSON(): LedgerFile {
    const { seed, startMs } = this
    return {
      format: 1,
      seed,
      startMs,
      totals: this.totals(),
      devices: [...this.devices].map(device => device.toJSON()),
    }
  }
}

/** Column by column. */
export const sumOfCounts = (rows: readonly LedgerCounts[]): LedgerCounts => {
  const sum: LedgerCounts = { made: 0, acked: 0, inDoubt: 0, refused: 0, lostByPolicy: 0, waiting: 0, resent: 0 }
  for (const row of rows) {
    sum.made += row.made
    sum.acked += row.acked
    sum.inDoubt += row.inDoubt
    sum.refused += row.refused
    sum.lostByPolicy += row.lostByPolicy
    sum.waiting += row.waiting
    sum.resent += row.resent
  }
  return sum
}
