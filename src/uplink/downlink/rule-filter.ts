import type { DownlinkRule } from '../../config/downlink.ts'
import type { Template } from '../../config/template.ts'
import type { LogRecord } from '../../wire/kafka/records.ts'

/** Which records of a central topic a rule takes, and the keys that they have here. */
export class RuleFilter {
  readonly rule: DownlinkRule
  /** What the key begins and ends with around its `*`; without a `*` the whole key and nothing. Undefined: any key, or none. */
  readonly #key: { readonly before: Buffer; readonly after: Buffer; readonly isWhole: boolean } | undefined
  readonly #headers: readonly { readonly name: string; readonly value: Buffer }[]

  constructor(rule: DownlinkRule, gatewayId: string) {
    this.rule = rule
    const [before, after] = rule.key === undefined ? [] : filled(rule.key, gatewayId).split('*')
    this.#key =
      before === undefined
        ? undefined
        : { before: Buffer.from(before), after: Buffer.from(after ?? ''), isWhole: after === undefined }
    this.#headers = [...rule.headers].map(([name, value]) => ({ name, value: Buffer.from(filled(value, gatewayId)) }))
  }

  /** The record's key here: what `*` stands for, or its own. Undefined: the rule does not take it. */
  keyOf(record: LogRecord): { readonly key: Buffer | null } | undefined {
    for (const { name, value } of this.#headers)
      if (!record.headers.some(header => header.key === name && header.value?.equals(value))) return undefined
    if (this.#key === undefined) return { key: record.key }
    const { before, after, isWhole } = this.#key
    const { key } = record
    if (key === null) return undefined
    if (isWhole) return key.equals(before) ? { key } : undefined
    const end = key.length - after.length
    const fits = end > before.length && key.subarray(0, before.length).equals(before) && key.subarray(end).equals(after)
    return fits ? { key: key.subarray(before.length, end) } : undefined
  }
}

const filled = ({ parts }: Template, gatewayId: string): string =>
  parts.map(part => ('literal' in part ? part.literal : gatewayId)).join('')
