import type { DeviceLedger, LedgerCounts } from './device-ledger.ts'
import { type Ledger, sumOfCounts } from './ledger.ts'

const columns: readonly (readonly [keyof LedgerCounts, string])[] = [
  ['made', 'MADE'],
  ['acked', 'ACKED'],
  ['inDoubt', 'IN DOUBT'],
  ['refused', 'REFUSED'],
  ['lostByPolicy', 'LOST BY POLICY'],
  ['waiting', 'WAITING'],
  ['resent', 'SENT AGAIN'],
]

/**
 * The ledger for people: a line per device, then a line per profile if there are several, then the sum. With more devices than
 * `maxDevices`, those with the most readings not acknowledged are shown, and a line says how many are not.
 */
export const ledgerTable = (ledger: Ledger, maxDevices = 40): string => {
  const devices = [...ledger.devices]
  const shown = devices.length <= maxDevices ? devices : mostUnacknowledged(devices, maxDevices)
  const profiles = [...new Set(devices.map(device => device.profile))]
  const rows = shown.map(device => row(device.device, device.counts()))
  const sums = [row(`all ${devices.length}`, ledger.totals())]
  if (profiles.length > 1) sums.unshift(...profiles.map(profile => profileRow(profile, devices)))
  const lines = aligned([['DEVICE', ...columns.map(([, title]) => title)], ...rows, ...sums])
  const hidden = devices.length - shown.length
  const note =
    hidden === 0 ? [] : [`(${hidden} more devices with no more unacknowledged: --json or --ledger FILE has all)`]
  const end = 1 + rows.length
  return [...lines.slice(0, end), ...note, ...lines.slice(end)].join('\n')
}

const row = (name: string, counts: LedgerCounts): string[] => [name, ...columns.map(([key]) => String(counts[key]))]

const profileRow = (profile: string, devices: readonly DeviceLedger[]): string[] => {
  const own = devices.filter(device => device.profile === profile)
  return row(`all ${own.length} ${profile}`, sumOfCounts(own.map(device => device.counts())))
}

const mostUnacknowledged = (devices: readonly DeviceLedger[], count: number): DeviceLedger[] => {
  const open = (device: DeviceLedger) => device.made - device.acked.size
  const chosen = new Set([...devices].sort((a, b) => open(b) - open(a)).slice(0, count))
  return devices.filter(device => chosen.has(device))
}

const aligned = (rows: readonly string[][]): string[] => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(cells => cells[column]?.length ?? 0)))
  return rows.map(cells => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0
      return column === 0 ? cell.padEnd(width) : cell.padStart(width)
    })
    return padded.join('  ')
  })
}
