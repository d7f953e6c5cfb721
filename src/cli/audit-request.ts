import type { AuditReport } from '../broker/audit-report.ts'
import type { HttpClient } from './http-client.ts'

/** The central cluster is asked for much, over whatever link. */
const timeoutMs = 180_000

/** Has the gateway audit itself. */
export const requestAudit = (client: HttpClient): Promise<AuditReport> => client.post('/api/v1/audit', { timeoutMs })
