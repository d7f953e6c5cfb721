import { Metrics } from '../../../src/core/metrics.ts'
import type { GatewayStatus, Readiness, TopicDetails } from '../../../src/http/status.ts'

const topic: TopicDetails = {
  name: 'sensors & <co>',
  id: 'a'.repeat(32),
  partitions: [{ partition: 0, logStartOffset: 2, highWatermark: 9, logEndOffset: 10, sizeBytes: 640 }],
  configs: [{ name: 'retention.ms', value: '604800000', source: 'DEFAULT' }],
}

const noRates = {
  seconds: 0,
  deviceBytes: null,
  logBytes: 0,
  records: 0,
  deviceBytesPerDay: null,
  deviceBytesPerEvent: null,
}

/** A gateway with one topic; tests change what they need. */
export class FakeStatus implements GatewayStatus {
  readonly metrics = new Metrics()
  ready: Readiness = { ready: true, checks: [{ name: 'log', ok: true, detail: 'writable' }] }
  broken = false
  gateway = () => ({
    id: 'pi <1>',
    version: '0.1.0',
    logId: '0123456789abcdef0123456789abcdef',
    uptimeMs: 5,
    listeners: { mqtt: '127.0.0.1:1883' },
    memory: { residentBytes: 3, usedBytes: 1, budgetBytes: 2 },
    disk: { logBytes: 1, viewBytes: 2, budgetBytes: 3, daysHeld: null, shortage: null },
    gaps: { listed: 0, summed: { count: 0, records: 0 } },
    wear: {
      sinceStart: { deviceBytes: null, processBytes: null, logBytes: 0, records: 0 },
      hour: noRates,
      day: noRates,
      lingerMs: 5,
      budgetBytesPerDay: null,
      budgetExceeded: false,
      card: { bytes: 1, cycles: 1000, years: null },
    },
    clock: { quality: 'unknown' as const, source: null, steps: [] },
    topics: 1,
    partitions: 1,
  })
  readiness = () => this.ready
  metricsText = () => this.metrics.text()
  topics = () => {
    if (this.broken) throw new Error('a bug in a status function')
    return [{ name: topic.name, id: topic.id, partitions: 1, records: 7, sizeBytes: 640 }]
  }
  topic = (name: string) => (name === topic.name ? topic : undefined)
  groups = async () => []
  group = async () => undefined
  clients = () => []
  gaps = () => []
  uplink = async () => ({
    state: 'connected',
    error: null,
    retryInMs: null,
    delivery: null,
    deliveryReason: null,
    bytesPerSecond: null,
    holds: [],
    partitions: [],
  })
  downlink = () => ({ error: null, takenError: null, topics: [], deliveries: [], formerRules: [], stayingReports: [] })
  uplinkOffsets = (topic: string) =>
    topic === 'sensors' ? [{ topic, partition: 0, target: 'edge.sensors', first: { 0: 5 }, syncs: [] }] : undefined
  audit = async () => ({
    gateway: 'pi',
    logId: '0123456789abcdef0123456789abcdef',
    verdict: 'explained' as const,
    central: null,
    mqtt: { sinceMs: 5, received: 0, stored: 0, refused: 0 },
    partitions: [],
  })
  deepAudit = () => ({ state: 'none' as const, read: 0, inAll: 0, error: null, report: null })
  isPaused = false
  downlinkControls = () => ({ skip: () => Promise.resolve(undefined) })
  uplinkControls = () => ({
    pause: async () => {
      this.isPaused = true
    },
    skip: async () => undefined,
    acknowledge: async () => undefined,
    resume: async () => {
      this.isPaused = false
    },
  })
  settings = () => [{ key: 'num.partitions', value: '4', origin: 'default' }]
  route = (mqttTopic: string) => ({
    mqttTopic,
    stored: true,
    topic: 'sensors',
    key: mqttTopic,
    headers: {},
    rule: 'default route',
    notes: [],
  })
}
