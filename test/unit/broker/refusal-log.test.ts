import { expect, it } from 'vitest'
import { RefusalLog } from '../../../src/broker/refusal-log.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { type LogLine, recordingLogger } from '../../support/memory-broker.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

it('counts every refusal, prints a line of each reason now and then, and cuts what peers wrote', async () => {
  const clock = new VirtualClock()
  const metrics = new Metrics()
  const lines: LogLine[] = []
  const parts = { logger: recordingLogger(lines), clock, metrics }
  const log = new RefusalLog<'idle' | 'internal' | 'filters'>(parts, 'mqttRefusedConnections', 'told')
  const remote = '10.0.0.7:1883'
  log.refused('idle', { remote, why: 'nothing came' })
  log.refused('idle', { remote, clientId: 'c', why: 'nothing came' })
  log.refused('internal', { remote, clientId: 'c'.repeat(1000) })
  log.refused('filters', { remote, clientId: 'c', filter: 'f'.repeat(1000), count: 3 })
  await clock.advance(10_000)
  log.refused('idle', { remote, clientId: undefined })
  expect(lines).toEqual([
    { level: 'warn', event: 'told', fields: { reason: 'idle', remote, why: 'nothing came' } },
    { level: 'error', event: 'told', fields: { reason: 'internal', remote, clientId: 'c'.repeat(128) } },
    {
      level: 'warn',
      event: 'told',
      fields: { reason: 'filters', remote, clientId: 'c', filter: 'f'.repeat(128), count: 3 },
    },
    { level: 'warn', event: 'told', fields: { reason: 'idle', remote, linesSuppressed: 1 } },
  ])
  for (const sample of ['reason="idle"} 3', 'reason="internal"} 1', 'reason="filters"} 3'])
    expect(metrics.text()).toContain(`brooklet_mqtt_refused_connections_total{${sample}\n`)
})
