import type { StayingReports } from '../../broker/downlink-summary.ts'
import type { Settings } from '../../config/settings.ts'
import { Selection } from '../selection.ts'

/**
 * Topics that are told what became of commands, and that do not go up, though there is an uplink: who sent a command hears nothing. None without one:
 * then reports are for readers here. A reader here may be meant with one, too, so that this is said and not refused.
 */
export const stayingReports = (settings: Settings, gatewayId: string): StayingReports[] => {
  if (settings['uplink.bootstrap.servers'].length === 0) return []
  const selection = new Selection(settings, gatewayId)
  const named = [...settings.deliver, ...settings.downlink].flatMap(({ report }) => report ?? [])
  return [...new Set(named)]
    .filter(topic => !selection.has(topic))
    .map(topic => ({ topic, reason: reasonOf(topic, settings) }))
}

const reasonOf = (topic: string, { downlink }: Settings): string =>
  downlink.some(({ to }) => to === topic)
    ? 'the downlink fills it, and what comes down does not go up'
    : 'it is not among uplink.topics, or among uplink.topics.exclude'
