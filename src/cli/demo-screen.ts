import type { Ledger, Progress } from '../../firmware-sim/index.ts'
import type { Gateway } from '../gateway.ts'
import { host } from '../platform/node/host.ts'
import type { DemoGroup } from './demo-group.ts'
import { LiveScreen } from './live-screen.ts'
import { sizeText } from './size-text.ts'
import { formatTable } from './table.ts'

/** What it is and where to connect; at most 80 columns. */
export const demoIntroduction = ({ addresses: { mqtt, kafka, http } }: Gateway, directory: string): string =>
  [
    'A Brooklet gateway with 25 simulated sensors and a consumer group.',
    '',
    `  devices publish to   mqtt://${mqtt}`,
    `  apps read from       ${kafka} (any Kafka client, or in another terminal:`,
    `                       node dist/main.js consume sensors -b ${kafka})`,
    `  metrics              http://${http}/metrics`,
    `  data directory       ${directory}, removed at the end`,
    '',
    'Ctrl-C stops everything and prints the ledger.',
    '',
    '',
  ].join('\n')

/** Shows progress: a table that redraws itself on a terminal, a line each time elsewhere. */
export const demoProgress = (gateway: Gateway, group: DemoGroup): ((progress: Progress) => void) => {
  const screen = new LiveScreen({ wholeScreen: false })
  let before = 0
  let beforeMs = 0
  return ({ elapsedMs, connected, devices, isDraining }) => {
    const { disk } = gateway.status.gateway()
    const stored = gateway.status.topics().reduce((sum, { records }) => sum + records, 0)
    const perSecond = Math.round(((stored - before) * 1000) / Math.max(1, elapsedMs - beforeMs))
    before = stored
    beforeMs = elapsedMs
    const rows: [string, string][] = [
      [isDraining ? 'stopping' : 'running', `${Math.round(elapsedMs / 1000)} s`],
      ['sensors', `${connected} of ${devices} connected`],
      ['events in', `${perSecond}/s`],
      ['stored', `${stored} records, each synced before its ack`],
      ['group demo', `${group.receipts.length} read, ${group.lag} behind${group.paused ? ' (resting)' : ''}`],
      ['disk', `${sizeText(disk.logBytes + disk.viewBytes)} of ${sizeText(disk.budgetBytes)}`],
    ]
    if (host.stdoutIsTerminal) screen.draw(rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`))
    else process.stdout.write(`${rows.map(([name, value]) => `${name}: ${value}`).join(' | ')}\n`)
  }
}

/** What became of every reading, by kind of sensor; the last line compares with what the group read. */
export const demoLedger = (ledger: Ledger, group: DemoGroup): string => {
  const compared = ledger.compare(group.receipts)
  const kinds = new Map<string, number[]>()
  for (const device of ledger.devices) {
    const { made, acked, inDoubt, resent, waiting, refused, lostByPolicy } = device.counts()
    const counts = [1, made, acked, inDoubt, resent, waiting + refused + lostByPolicy]
    for (const name of [device.profile, 'all']) {
      const sums = kinds.get(name) ?? counts.map(() => 0)
      kinds.set(
        name,
        sums.map((sum, index) => sum + counts[index]!),
      )
    }
  }
  const all = kinds.get('all') ?? []
  kinds.delete('all')
  const rows = [...kinds, ['all', all] as const].map(([name, counts]) => [name, ...counts])
  const { received, missingAcked, unexplainedDuplicates, orderViolations, examples } = compared
  return [
    formatTable(['SENSORS', 'DEVICES', 'MADE', 'ACKED', 'IN DOUBT', 'SENT AGAIN', 'NOT SENT'], rows),
    ...examples.map(example => `  ${example}\n`),
    `group demo: ${received} read; ${missingAcked} missing, ${unexplainedDuplicates} twice, `,
    `${orderViolations} out of order\n`,
  ].join('')
}
