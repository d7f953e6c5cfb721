import { parseText } from './routes.ts'
import { parseTemplate, type Template } from './template.ts'
import { parseItems, TreeReader } from './tree.ts'
import { type Parsed, quoted, type ValueProblem, type ValueType, wrong } from './value-types.ts'

/** From the log to MQTT subscribers: every new record of `topic` is published, and not stored again. */
export interface DeliverRule {
  readonly topic: string
  /** Tells it from other rules for the topic, of which one may be without. */
  readonly name: string | undefined
  /** MQTT topic; `{key}`, `{topic}`, `{gateway}` and `{header.NAME}` are filled in per record. */
  readonly mqtt: Template
  readonly qos: 0 | 1 | 2
  /** A record counts as delivered once the device has acknowledged it; otherwise once it is handed over to the subscribers of now. */
  readonly awaitsDevice: boolean
  /** Topic here that is told what became of each record. */
  readonly report: string | undefined
}

/** `{header.site}` is the value of the record's first header `site`; `header.NAME` stands for all of them in error messages. */
export const headerPlaceholder = /^header\.([A-Za-z0-9._-]+)$/

const deliverPlaceholders = ['key', 'topic', 'gateway', 'header.NAME'] as const

const topicName = /^[A-Za-z0-9._-]{1,249}$/
const ruleName = /^[A-Za-z0-9._-]{1,100}$/

/** Rules that a gateway may have; each reads its topic all the time. */
const MAX_DELIVER_RULES = 100

/** The setting `deliver`: a YAML list, or the same as text. */
export const deliver: ValueType<readonly DeliverRule[]> = {
  configType: 'STRING',
  shape: 'a list of deliver rules',
  parse: text => parseText(text, parseDeliver),
  parseTree: parseDeliver,
  format: formatDeliver,
  formatPlain: formatDeliver,
}

export function parseDeliver(tree: unknown): Parsed<readonly DeliverRule[]> {
  const parsed = parseItems(tree, readRule)
  const tooMany = 'value' in parsed && parsed.value.length > MAX_DELIVER_RULES
  return tooMany ? wrong(`at most ${MAX_DELIVER_RULES} deliver rules are possible`) : parsed
}

function readRule(tree: unknown, place: string): { item: DeliverRule | undefined; problems: readonly ValueProblem[] } {
  const reader = new TreeReader(tree, place, ['topic', 'name', 'mqtt', 'qos', 'ack', 'report'])
  const topic = reader.text('topic', true)
  if (topic !== undefined && !topicName.test(topic)) reader.fail('topic', `${quoted(topic)} is not a topic name`)
  const name = reader.text('name', false)
  if (name !== undefined && !ruleName.test(name)) reader.fail('name', `${quoted(name)} is not a name of a rule`)
  const text = reader.text('mqtt', true)
  const mqtt =
    text === undefined ? undefined : reader.take('mqtt', parseTemplate(text, deliverPlaceholders, headerPlaceholder))
  if (text !== undefined && (/[+#\0]/.test(text) || text === '')) {
    reader.fail('mqtt', `${quoted(text)} is not an MQTT topic; records are published to one topic, without wildcards`)
  }
  const qos = reader.text('qos', false) ?? '1'
  if (!['0', '1', '2'].includes(qos)) reader.fail('qos', `${quoted(qos)} is not a QoS`, Number(qos) > 2 ? '2' : '1')
  const ack = reader.text('ack', false)
  if (ack !== undefined && ack !== 'device') reader.fail('ack', `${quoted(ack)} is not known`, 'device')
  if (ack === 'device' && qos === '0') reader.fail('qos', 'a device acknowledges QoS 1 and 2 only', '1')
  const report = reader.text('report', false)
  if (report !== undefined && !topicName.test(report)) reader.fail('report', `${quoted(report)} is not a topic name`)
  if (report !== undefined && ack === undefined)
    reader.fail('report', 'needs `ack: device`: without it nobody hears what became of a record')
  const bad = reader.problems.length > 0 || topic === undefined || mqtt === undefined
  const rule = { qos: Number(qos) as 0 | 1 | 2, awaitsDevice: ack === 'device', report }
  return { item: bad ? undefined : { topic, name, mqtt, ...rule }, problems: reader.problems }
}

function formatDeliver(rules: readonly DeliverRule[]): string {
  return JSON.stringify(
    rules.map(({ topic, name, mqtt, qos, awaitsDevice, report }) => ({
      topic,
      ...(name === undefined ? {} : { name }),
      mqtt: mqtt.text,
      qos,
      ...(awaitsDevice ? { ack: 'device' } : {}),
      ...(report === undefined ? {} : { report }),
    })),
  )
}
