import type { DeliverRule } from '../../config/deliver.ts'

const prefix = 'brooklet.deliver.'

/**
 * What a deliver rule is known by, whatever its place is among the others: its topic, and its name where it has one. The position of a rule is that of
 * the group of this name, or the account of it.
 */
export const ruleNameOf = ({ topic, name }: DeliverRule): string =>
  // a colon is in no topic name
  prefix + topic + (name === undefined ? '' : `:${name}`)

/** What it was known by before rules had names: its place among those for its topic. Undefined where another rule has that name now. */
export const nameByPlace = (rules: readonly DeliverRule[], rule: DeliverRule): string | undefined => {
  const place = rules.filter(({ topic }) => topic === rule.topic).indexOf(rule) + 1
  const name = prefix + rule.topic + (place === 1 ? '' : `.${place}`)
  return rules.some(one => one.topic === rule.topic && ruleNameOf(one) === name) ? undefined : name
}
