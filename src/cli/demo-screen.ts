import type { Ledger, Progress } from '../../firmware-sim/index.ts'
import type { UplinkSummary } from '../broker/uplink-summary.ts'
import type { Gateway } from '../gateway.ts'
import { host } from '../platform/node/host.ts'
import type { DemoCentral } from './demo-central.ts'
import type { DemoGroup } from './demo-group.ts'
import type { DemoLink } from './demo-link.ts'
import { LiveScreen } from './live-screen.ts'
import { sizeText } from './size-text.ts'
import { formatTable } from './table.ts'

/** What it is and where to connect; at most 80 columns. */
export const demoIntroduction = ({ addresses }: Gateway, central: DemoCentral, directory: string): string => {
  const { mqtt, kafka, http } = addresses
  return [
    'A Brooklet gateway with 25 simulated sensors and a consumer group. What they send',
    'goes on to a central cluster, another Brooklet, over a link that can be cut.',
    '',
    `  devices publish to   mqtt://${mqtt}`,
    `  apps read from       ${kafka} (any Kafka client, or in another terminal:`,
    `                       node dist/main.js consume sensors -b ${kafka})`,
    `  central cluster      ${central.address} (any Kafka client, too)`,
    `  the link to it       ${central.link.address.host}:${central.link.address.port}`,
    `  metrics              http://${http}/metrics`,
    `  data directory       ${directory}, removed at the end`,
    '',
    'Type o to cut the link, and again to restore it: the backlog builds, and drains.',
    'Ctrl-C stops everything and prints the ledger and the audit.',
    '',
    '',
  ].join('\n')
}

/** Shows progress: a table that redraws itself on a terminal, a line each time elsewhere. */
export class DemoProgress {
  readonly #gateway: Gateway
  readonly #group: DemoGroup
  readonly #link: DemoLink
  readonly #screen = new LiveScreen({ wholeScreen: false })
  #before = 0
  #beforeMs = 0
  #isOver = false

  constructor(gateway: Gateway, group: DemoGroup, link: DemoLink) {
    this.#gateway = gateway
    this.#group = group
    this.#link = link
  }

  readonly show = async (progress: Progress): Promise<void> => {
    const uplink = uplinkSums(await this.#gateway.status.uplink())
    if (this.#isOver) return
    const rows = this.#rows(progress, uplink)
    if (host.stdoutIsTerminal) this.#screen.draw(rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`))
    else process.stdout.write(`${rows.map(([name, value]) => `${name}: ${value}`).join(' | ')}\n`)
  }

  /** Nothing is shown any more. */
  end(): void {
    this.#isOver = true
  }

  #rows({ elapsedMs, connected, devices, isDraining }: Progress, uplink: UplinkSums): readonly [string, string][] {
    const { status } = this.#gateway
    const { disk } = status.gateway()
    const stored = status.topics().reduce((sum, { records }) => sum + records, 0)
    const perSecond = Math.round(((stored - this.#before) * 1000) / Math.max(1, elapsedMs - this.#beforeMs))
    this.#before = stored
    this.#beforeMs = elapsedMs
    const { receipts, lag, paused } = this.#group
    return [
      [isDraining ? 'stopping' : 'running', `${Math.round(elapsedMs / 1000)} s`],
      ['sensors', `${connected} of ${devices} connected`],
      ['events in', `${perSecond}/s`],
      ['stored', `${stored} records, each synced before its ack`],
      ['group demo', `${receipts.length} read, ${lag} behind${paused ? ' (resting)' : ''}`],
      ['link', this.#link.isCut ? 'CUT (o restores it)' : 'up (o cuts it)'],
      ['sent up', `${uplink.sent} records, each once; ${waitingText(uplink)}`],
      ['disk', `${sizeText(disk.logBytes + disk.viewBytes)} of ${sizeText(disk.budgetBytes)}`],
    ]
  }
}

interface UplinkSums {
  readonly sent: number
  readonly waiting: number
  /** Of the oldest record that waits. */
  readonly seconds: number
}

/** Of all partitions together. */
export const uplinkSums = (summary: UplinkSummary | undefined): UplinkSums => {
  const partitions = summary?.partitions ?? []
  return {
    sent: partitions.reduce((sum, { sentRecords }) => sum + sentRecords, 0),
    waiting: partitions.reduce((sum, { lagRecords }) => sum + lagRecords, 0),
    seconds: Math.max(0, ...partitions.map(({ lagSeconds }) => lagSeconds ?? 0)),
  }
}

const waitingText = ({ waiting, seconds }: UplinkSums): string =>
  waiting === 0
    ? 'none waits'
    : `${waiting} ${waiting === 1 ? 'waits' : 'wait'}, the oldest for ${Math.round(seconds)} s`

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
