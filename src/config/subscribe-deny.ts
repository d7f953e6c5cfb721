import { topicFilterFault } from '../wire/mqtt/topic-filter.ts'
import { parseText } from './routes.ts'
import { parseItems, TreeReader } from './tree.ts'
import { type Parsed, quoted, type ValueProblem, type ValueType, wrong } from './value-types.ts'

/** Subscriptions to nothing but what `mqtt` covers are refused. */
export interface SubscribeDenyRule {
  /** A topic filter. */
  readonly mqtt: string
  /** The reason code in SUBACK of MQTT 5 (section 3.9.3). */
  readonly reason: number
}

/** Reason codes of SUBACK that a rule may give; the others say what the broker cannot do. */
const reasons: readonly number[] = [0x80, 0x83, 0x87, 0x8f, 0x97]
const notAuthorized = 0x87

/** Rules that a gateway may have; each costs a comparison per subscription. */
export const MAX_SUBSCRIBE_DENY_RULES = 1000

/** The setting `mqtt.subscribe.deny`: a YAML list, or the same as text. */
export const subscribeDeny: ValueType<readonly SubscribeDenyRule[]> = {
  configType: 'STRING',
  shape: 'a list of topic filters with reason codes',
  parse: text => parseText(text, parseSubscribeDeny),
  parseTree: parseSubscribeDeny,
  format: formatSubscribeDeny,
  formatPlain: formatSubscribeDeny,
}

function parseSubscribeDeny(tree: unknown): Parsed<readonly SubscribeDenyRule[]> {
  const parsed = parseItems(tree, readRule)
  const tooMany = 'value' in parsed && parsed.value.length > MAX_SUBSCRIBE_DENY_RULES
  return tooMany ? wrong(`at most ${MAX_SUBSCRIBE_DENY_RULES} rules are possible`) : parsed
}

function readRule(
  tree: unknown,
  place: string,
): { item: SubscribeDenyRule | undefined; problems: readonly ValueProblem[] } {
  const reader = new TreeReader(tree, place, ['mqtt', 'reason'])
  const mqtt = reader.text('mqtt', true)
  const fault = mqtt === undefined ? undefined : topicFilterFault(mqtt)
  if (fault !== undefined) reader.fail('mqtt', `${quoted(mqtt!)}: ${fault}`)
  const written = reader.text('reason', false)
  const reason = written === undefined ? notAuthorized : Number(written)
  if (!reasons.includes(reason)) {
    reader.fail('reason', `${quoted(written!)} is not one of ${reasons.map(formatReason).join(', ')}`, '0x87')
  }
  const bad = reader.problems.length > 0 || mqtt === undefined
  return { item: bad ? undefined : { mqtt, reason }, problems: reader.problems }
}

const formatReason = (reason: number): string => `0x${reason.toString(16)}`

function formatSubscribeDeny(rules: readonly SubscribeDenyRule[]): string {
  return JSON.stringify(rules.map(({ mqtt, reason }) => ({ mqtt, reason: formatReason(reason) })))
}
