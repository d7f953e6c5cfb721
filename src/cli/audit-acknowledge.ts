import { Command } from 'commander'
import type { AuditLoss } from '../broker/audit-report.ts'
import { host } from '../platform/node/host.ts'
import { requestAudit, requestDeepAudit } from './audit-request.ts'
import { auditedTopic } from './audited-topic.ts'
import { HttpClient, HttpFailure } from './http-client.ts'
import { maxPartitions, wholeNumber } from './option-values.ts'
import { plural } from './plural.ts'

interface AcknowledgeFlags {
  readonly http: string
  readonly deep?: boolean
  readonly yes?: boolean
  readonly by: string
}

/** Says which losses of the topic would be acknowledged; does it with `--yes`. */
const acknowledge = async (topic: string, only: number | undefined, { http, yes, by, deep }: AcknowledgeFlags) => {
  const client = new HttpClient(http)
  const report = await (deep ? requestDeepAudit(client) : requestAudit(client))
  if (report.central !== null && report.central.error !== null)
    throw new HttpFailure(`the central cluster could not be asked what is lost: ${report.central.error}`)
  const found = auditedTopic(report, topic)
    .partitions.filter(({ partition }) => only === undefined || partition === only)
    .flatMap(({ partition, losses }) => losses.map(loss => ({ partition, ...loss })))
  const where = only === undefined ? topic : `partition ${only} of ${topic}`
  if (found.length === 0) throw new HttpFailure(`${where} has lost nothing upstream that is unexplained`)
  const text = ({ partition, text }: AuditLoss & { partition: number }) => `${topic}/${partition}: ${text}\n`
  process.stdout.write(found.map(text).join(''))
  if (!yes) throw new HttpFailure(`say --yes, and the audit takes ${plural(found.length, 'loss')} as known`)
  for (const { partition, name, records } of found) {
    const query = new URLSearchParams({ topic, partition: `${partition}`, loss: name, records: `${records}`, by })
    await client.post(`/api/v1/audit/acknowledge?${query}`)
  }
  process.stdout.write(`acknowledged by ${by}: the audit lists ${found.length === 1 ? 'it' : 'them'} as known\n`)
}

/** `brooklet audit acknowledge`: somebody knows that the central cluster has lost records, and the audit need not say it again. */
export const acknowledgeCommand = (): Command =>
  new Command('acknowledge')
    .description('take what the central cluster has lost as known: the audit lists it, and does not fail for it')
    .argument('<topic>')
    .argument('[partition]', 'its number', wholeNumber(0, maxPartitions - 1))
    .option('--by <name>', 'who knows', `${host.userName()}@${host.name}`)
    .option('--deep', 'what only `audit --deep` finds, too')
    .option('--yes', 'without it, it only says what would be acknowledged')
    .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')
    .action(acknowledge)
