import { expect, it } from 'vitest'
import type { AuditPartition, AuditReport } from '../../../src/broker/audit-report.ts'
import { auditedTopic } from '../../../src/cli/audited-topic.ts'

const row = (topic: string, ...unexplained: string[]): AuditPartition => ({
  ...{ topic, partition: 0, received: 1, stored: 1, gone: 0, uplink: null },
  ...{ notes: [], unexplained, losses: [], acknowledged: [] },
})
const report = (error: string | null): AuditReport => ({
  gateway: 'g7',
  logId: 'a'.repeat(32),
  verdict: 'unexplained',
  central: { bootstrap: 'k1:9092', positionsTopic: 'p', error },
  mqtt: { sinceMs: 0, received: 0, stored: 0, refused: 0 },
  partitions: [row('lossy', 'records are gone'), row('sound')],
})

it.each([
  ['lossy', null, 'unexplained'],
  ['sound', null, 'explained'],
  ['sound', 'no answer', 'unchecked'],
] as const)('the verdict on %s is its own, error %s: %s', (topic, error, verdict) => {
  const found = auditedTopic(report(error), topic)
  expect(found).toMatchObject({ verdict, partitions: [{ topic }] })
})

it('a topic that is not there is no topic of which all is explained', () => {
  expect(() => auditedTopic(report(null), 'nope')).toThrow('there is no topic nope')
})
