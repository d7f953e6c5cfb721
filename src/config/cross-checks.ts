import { checkDeliver } from './deliver-checks.ts'
import { checkDownlink } from './downlink-checks.ts'
import { formatListenUrl, isLocal, isTls, type ListenUrl } from './listen-url.ts'
import { nearestWord } from './nearest-word.ts'
import { formatBytes, formatDuration, MiB } from './quantities.ts'
import type { SettingProblem } from './setting-problem.ts'
import { flagName, leastBytes, type SettingKey, type Settings, settingsOf, settingTable } from './settings.ts'
import { shareOf } from './share.ts'
import { slotBytesOf } from './slot-bytes.ts'
import { checkUplink } from './uplink-checks.ts'

export type Report = (key: SettingKey, reason: string, nearest?: string) => void

const listenKeys = ['mqtt.listen', 'kafka.listen', 'http.listen'] as const

/**
 * What no single row can check. `diskBytes` is the size of the file system, or undefined when it is not known: then a budget
 * in percent is taken at its default bound.
 */
export function crossCheck(
  settings: Settings,
  diskBytes: number | undefined,
  memoryBytes: number,
  placeOf: (key: SettingKey) => string,
): SettingProblem[] {
  const problems: SettingProblem[] = []
  const report: Report = (key, reason, nearest) => {
    problems.push({ key, place: placeOf(key), reason, ...(nearest === undefined ? {} : { nearest }) })
  }
  if (diskBytes !== undefined) checkShare('disk.budget', settings, diskBytes, 'this file system', report)
  checkShare('memory.budget', settings, memoryBytes, 'the RAM', report)
  checkSizes(settings, diskBytes, report)
  checkTimers(settings, report)
  checkListeners(settings, report)
  checkTls(settings, report)
  checkListenerRules(settings, report)
  checkUplink(settings, report)
  checkDownlink(settings, report)
  checkDeliver(settings, report)
  return problems
}

/** A budget that only the machine at hand can judge: percents that are too little, bytes that are not there. */
function checkShare(
  key: 'disk.budget' | 'memory.budget',
  settings: Settings,
  wholeBytes: number,
  whole: string,
  report: Report,
): void {
  const bytes = shareOf(settings[key], wholeBytes)
  const least = leastBytes[key]
  const text = settingTable[key].type.format(settings[key])
  if (bytes > wholeBytes) report(key, `${text} is more than ${whole} has, about ${aboutBytes(wholeBytes)}`, '95%')
  else if (bytes < least)
    report(
      key,
      `${text} of ${whole} is about ${aboutBytes(bytes)}, at least ${formatBytes(least)} is needed`,
      formatBytes(least),
    )
}

function checkSizes(settings: Settings, diskBytes: number | undefined, report: Report): void {
  const slotBytes = slotBytesOf(shareOf(settings['disk.budget'], diskBytes ?? Number.MAX_SAFE_INTEGER))
  const slot = `with this disk.budget a log slot is ${formatBytes(slotBytes)}`
  const atMost = (
    key: 'commit.max.bytes' | 'max.message.bytes' | 'mqtt.max.packet.bytes',
    part: string,
    limit: number,
  ) => {
    if (settings[key] <= limit) return
    report(key, `${formatBytes(settings[key])} is more than ${part} of a log slot (${slot})`, formatBytes(limit))
  }
  atMost('commit.max.bytes', 'a quarter', slotBytes / 4)
  atMost('max.message.bytes', 'half', slotBytes / 2)
  atMost('mqtt.max.packet.bytes', 'half', slotBytes / 2)
  if (settings['socket.request.max.bytes'] < settings['max.message.bytes']) {
    const largest = formatBytes(settings['max.message.bytes'])
    report(
      'socket.request.max.bytes',
      `a request must be able to carry a batch of max.message.bytes (${largest})`,
      largest,
    )
  }
}

function checkTimers(settings: Settings, report: Report): void {
  const notAbove = (lower: SettingKey & TimerKey, upper: SettingKey & TimerKey) => {
    if (settings[lower] <= settings[upper]) return
    report(lower, `is above ${upper} (${formatDuration(settings[upper])})`, formatDuration(settings[upper]))
  }
  notAbove('group.min.session.timeout.ms', 'group.max.session.timeout.ms')
  notAbove('commit.linger.ms', 'commit.linger.max.ms')
}

/** In whole MiB: sizes of machines are odd numbers that nobody wants to read. */
const aboutBytes = (value: number): string => formatBytes(Math.round(value / MiB) * MiB)

type TimerKey = `${string}.ms`

function checkListeners(settings: Settings, report: Report): void {
  const seen = new Map<string, SettingKey>()
  for (const key of listenKeys) {
    for (const url of settings[key]) {
      checkExposure(key, url, settings, report)
      const address = url.path ?? `${url.host}:${url.port}`
      const other = seen.get(address)
      if (other !== undefined && !address.endsWith(':0'))
        report(key, `${formatListenUrl(url)} is the address of ${other} too; give each its own port`)
      seen.set(address, key)
    }
  }
  const advertised = settings['kafka.advertised'].length
  const listening = settings['kafka.listen'].length
  if (advertised !== 0 && advertised !== listening) {
    report(
      'kafka.advertised',
      `has ${advertised} addresses, but kafka.listen has ${listening}: give one for each, in the same order`,
    )
  }
}

/** Who asks for certificates of a CA of the user's lets nobody in but its holders. */
function checkExposure(key: SettingKey, url: ListenUrl, settings: Settings, report: Report): void {
  const asksForCertificate = isTls(url) && settingsOf(settings, url)['tls.client.auth'] === 'required'
  if (settings['insecure.listeners'] || isLocal(url) || asksForCertificate) return
  const reason =
    `${formatListenUrl(url)} can be reached from other machines without authentication: listen on 127.0.0.1, or ask for certificates ` +
    '(a TLS listener with tls.client.auth=required), or, in a network where everyone may read and write, set ' +
    `insecure.listeners=true (${flagName('insecure.listeners')})`
  report(key, reason, formatListenUrl({ ...url, host: '127.0.0.1' }))
}

function checkTls(settings: Settings, report: Report): void {
  for (const url of listenKeys.flatMap(key => settings[key]).filter(isTls)) {
    const own = settingsOf(settings, url)
    for (const key of ['tls.cert', 'tls.key'] as const)
      if (own[key] === '') report(key, `is missing: ${formatListenUrl(url)} speaks TLS`)
    if (own['tls.client.auth'] !== 'none' && own['tls.ca'] === '')
      report('tls.ca', `is missing: tls.client.auth=${own['tls.client.auth']} needs CAs to check certificates against`)
  }
}

function checkListenerRules(settings: Settings, report: Report): void {
  const urls = listenKeys.flatMap(key => settings[key].map(formatListenUrl))
  for (const url of settings.listeners.keys()) {
    if (!urls.includes(url))
      report('listeners', `${url} is in none of ${listenKeys.join(', ')}`, nearestWord(url, urls) ?? urls[0])
  }
  // what the log can take is worked out for the largest of all
  const largest = settings['mqtt.max.packet.bytes']
  for (const [url, { 'mqtt.max.packet.bytes': own = 0 }] of settings.listeners) {
    if (own <= largest) continue
    report('listeners', `mqtt.max.packet.bytes of ${url} is above that for all (${formatBytes(largest)})`)
  }
}
