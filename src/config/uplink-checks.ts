import { checkClientSecurity } from './client-security.ts'
import type { Report } from './cross-checks.ts'
import { formatDuration } from './quantities.ts'
import { type Settings, settingKeys, settingRow } from './settings.ts'
import { uplinkConnection } from './uplink-connection.ts'

/** Settings of the uplink that contradict each other. */
export const checkUplink = (settings: Settings, report: Report): void => {
  if (settings['uplink.bootstrap.servers'].length === 0) {
    for (const key of settingKeys.filter(one => one.startsWith('uplink.') || one === 'remote.read')) {
      const { type, fallback } = settingRow(key)
      if (type.format(settings[key]) === type.format(fallback)) continue
      report(
        key,
        'has no effect without uplink.bootstrap.servers: name the brokers of the central cluster, or take it out',
      )
    }
    return
  }
  if (settings['uplink.topics'].length === 0) report('uplink.topics', 'is empty: nothing would go up', '*')
  if (settings['remote.read'] && settings['uplink.headers'] !== 'full')
    report('uplink.headers', 'must be full for remote.read: without its names no record upstream can be found', 'full')
  checkNames(settings, report)
  checkTimes(settings, report)
  checkClientSecurity(uplinkConnection(settings), (key, reason) => report(`uplink.${key}`, reason))
}

const checkNames = (settings: Settings, report: Report): void => {
  const { 'uplink.rename': rename, 'uplink.topics': topics } = settings
  const names = new Set(rename.parts.flatMap(part => ('name' in part ? [part.name] : [])))
  const isOneTopic = topics.length === 1 && !topics[0]!.includes('*')
  if (!names.has('topic') && !isOneTopic)
    report(
      'uplink.rename',
      `${rename.text} gives several topics one name: it must have {topic}`,
      `{topic}.${rename.text}`,
    )
  if (rename.text === settings['uplink.positions.topic'])
    report('uplink.rename', `${rename.text} is the topic of uplink.positions.topic`)
  if (settings['uplink.headers'] === 'gateway' && names.has('gateway'))
    report(
      'uplink.headers',
      'gateway says again what uplink.rename says with {gateway}, and costs that batches are written anew',
      'none',
    )
}

const checkTimes = (settings: Settings, report: Report): void => {
  const notAbove = (
    lower: 'uplink.retry.backoff.ms' | 'uplink.request.timeout.ms',
    upper: 'uplink.retry.backoff.max.ms' | 'uplink.transaction.timeout.ms',
  ): void => {
    if (settings[lower] <= settings[upper]) return
    report(lower, `is above ${upper} (${formatDuration(settings[upper])})`, formatDuration(settings[upper]))
  }
  notAbove('uplink.retry.backoff.ms', 'uplink.retry.backoff.max.ms')
  notAbove('uplink.request.timeout.ms', 'uplink.transaction.timeout.ms')
}
