import type { Progress } from '../../firmware-sim/index.ts'
import type { Gateway } from '../gateway.ts'
import { host } from '../platform/node/host.ts'
import type { DemoGroup } from './demo-group.ts'

export interface DemoScreen {
  update(progress: Progress): void
  end(sentence: string): void
}

const clearAbove = (lines: number): string => `\u001b[${lines}A\u001b[0J`

const bytesText = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`

/** A table that redraws itself on a terminal, and a line a second elsewhere. */
export const demoScreen = (gateway: Gateway, directory: string, group: DemoGroup): DemoScreen => {
  const { mqtt, kafka, http } = gateway.addresses
  let before = 0
  let drawn = 0
  process.stdout.write(
    [
      'A Brooklet gateway with 25 simulated sensors and a consumer group.',
      `  devices publish to   mqtt://${mqtt}     try: mosquitto_pub -p ${portOf(mqtt)} -t hello/me -m 1 -q 1`,
      `  apps read from       ${kafka}            try: kcat -b ${kafka} -t sensors -C`,
      `  health and metrics   http://${http}`,
      `  data directory       ${directory} (removed at the end)`,
      '  Ctrl-C stops everything and prints the ledger.',
      '',
      '',
    ].join('\n'),
  )
  return {
    update(progress) {
      const { disk } = gateway.status.gateway()
      const stored = gateway.status.topics().reduce((sum, { records }) => sum + records, 0)
      const rows: [string, string][] = [
        ['running', `${Math.round(progress.elapsedMs / 1000)} s`],
        ['sensors', `${progress.connected} of ${progress.devices} connected`],
        ['events in', `${stored - before}/s`],
        ['stored', `${stored} records, each synced before its ack`],
        ['group demo', `${group.receipts.length} read, ${group.lag} behind${group.paused ? ' (resting)' : ''}`],
        ['disk', `${bytesText(disk.logBytes + disk.viewBytes)} of ${bytesText(disk.budgetBytes)}`],
      ]
      before = stored
      if (!host.stdoutIsTerminal) {
        process.stdout.write(`${rows.map(([name, value]) => `${name}: ${value}`).join(' | ')}\n`)
        return
      }
      const lines = rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`)
      process.stdout.write(`${drawn === 0 ? '' : clearAbove(drawn)}${lines.join('\n')}\n`)
      drawn = lines.length
    },
    end: sentence => void process.stdout.write(`\n${sentence}\n`),
  }
}

const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1)
