import type { Report } from './cross-checks.ts'
import type { DeliverRule } from './deliver.ts'
import type { Settings } from './settings.ts'

/** Deliver rules that nobody could tell apart: how far each has come is kept under its topic and its name. */
export const checkDeliver = ({ deliver }: Settings, report: Report): void => {
  for (const [index, rule] of deliver.entries()) {
    const first = deliver.findIndex(({ topic, name }) => topic === rule.topic && name === rule.name)
    if (first === index) continue
    const why =
      rule.name === undefined
        ? `is missing: [${first}] is for ${rule.topic}, too, and has none`
        : `is that of [${first}], which is for ${rule.topic}, too`
    report('deliver', `[${index}].name ${why}; rules for one topic are told apart by it`, freeName(deliver, rule))
  }
}

const freeName = (rules: readonly DeliverRule[], { topic }: DeliverRule): string => {
  const names = new Set(rules.filter(rule => rule.topic === topic).map(({ name }) => name))
  let number = 2
  while (names.has(`rule-${number}`)) number++
  return `rule-${number}`
}
