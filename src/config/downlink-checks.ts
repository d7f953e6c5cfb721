import type { Report } from './cross-checks.ts'
import type { DownlinkRule } from './downlink.ts'
import type { Settings } from './settings.ts'

/** Downlink rules that contradict each other, or the uplink. */
export const checkDownlink = (settings: Settings, report: Report): void => {
  const { downlink } = settings
  if (downlink.length === 0) return
  if (settings['uplink.bootstrap.servers'].length === 0)
    report('downlink', 'has no effect without uplink.bootstrap.servers: name the brokers of the central cluster')
  for (const [index, rule] of downlink.entries()) checkRule(rule, index, settings, report)
}

const checkRule = (rule: DownlinkRule, index: number, settings: Settings, report: Report): void => {
  const { downlink } = settings
  const say = (key: string, reason: string): void => report('downlink', `[${index}].${key} ${reason}`)
  const first = downlink.find(({ topic }) => topic === rule.topic)!
  for (const key of ['priority', 'from'] as const)
    if (rule[key] !== first[key])
      say(key, `is ${rule[key]}, but ${first[key]} in an earlier rule for ${rule.topic}: a topic is read once`)
  if (settings['uplink.topics'].includes(rule.to))
    say('to', `${rule.to} is named in uplink.topics: what comes down does not go up again, or it would come down again`)
  if (rule.report !== undefined && downlink.some(({ to }) => to === rule.report))
    say('report', `${rule.report} is filled by the downlink: reports go up, and need a topic of their own`)
}
