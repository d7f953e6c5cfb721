import type { AuditReport, DeepAuditState } from '../broker/audit-report.ts'
import { sleep } from '../platform/clock.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import { type HttpClient, HttpFailure } from './http-client.ts'

/** The central cluster is asked for much, over whatever link. */
const timeoutMs = 180_000

/** Has the gateway audit itself. */
export const requestAudit = (client: HttpClient): Promise<AuditReport> => client.post('/api/v1/audit', { timeoutMs })

const pollMs = 500

/** Has it read back what stands upstream, too, and shows on a terminal how far that is. Who stops asking ends it. */
export const requestDeepAudit = async (client: HttpClient): Promise<AuditReport> => {
  const show = (text: string): void => {
    if (host.stderrIsTerminal) process.stderr.write(`\r\x1b[K${text}`)
  }
  const leave = host.stayAlive()
  try {
    let now = await client.post<DeepAuditState>('/api/v1/audit/deep')
    while (now.state === 'running') {
      show(`${now.read} of ${now.inAll} records read back`)
      await sleep(nodeClock, pollMs)
      now = await client.get<DeepAuditState>('/api/v1/audit/deep/state')
    }
    show('')
    if (now.report !== null) return now.report
    throw new HttpFailure(`the audit was ended: ${now.error ?? 'the gateway was not asked how far it is'}`)
  } finally {
    leave()
  }
}
