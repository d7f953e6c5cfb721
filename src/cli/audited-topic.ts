import type { AuditReport } from '../broker/audit-report.ts'
import { HttpFailure } from './http-client.ts'

/** What the audit says of one topic, with the verdict on that alone. Throws `HttpFailure` when there is no such topic. */
export const auditedTopic = (report: AuditReport, topic: string): AuditReport => {
  const partitions = report.partitions.filter(row => row.topic === topic)
  if (partitions.length === 0) throw new HttpFailure(`there is no topic ${topic}`)
  const isExplained = partitions.every(({ unexplained }) => unexplained.length === 0)
  const explained = report.central?.error == null ? 'explained' : 'unchecked'
  return { ...report, verdict: isExplained ? explained : 'unexplained', partitions }
}
