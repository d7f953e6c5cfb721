import { profileNamed, profiles } from '../devices/index.ts'
import type { DeviceProfile } from '../devices/profile.ts'
import type { FleetOptions } from './fleet.ts'
import { parseGatewayUrl } from './gateway-address.ts'
import { nearest } from './nearest.ts'
import { type Parsed, parseDrop, parseDuration, parseNumber, parseRatio, parseWhole } from './option-values.ts'
import { type Scenario, scenarioNamed, scenarios, steady, type TimedFault, withFaults } from './scenario.ts'

/** The options of `brooklet sim` as they stand on the command line. */
export interface SimOptions {
  readonly url: string
  readonly profile: string
  readonly count: string
  readonly mix?: string | undefined
  readonly rate?: string | undefined
  readonly seed: string
  readonly duration?: string | undefined
  readonly qos?: string | undefined
  readonly encoding?: string | undefined
  readonly scenario: string
  readonly drop?: readonly string[] | undefined
  readonly loss?: string | undefined
  readonly latency?: string | undefined
  readonly site: string
  readonly connectRate: string
  readonly start?: string | undefined
  readonly json?: boolean | undefined
  readonly ledger?: string | undefined
}

const maxDevices = 20_000

/** The fleet that the options describe, or everything that is wrong with them, a line each. */
export const readOptions = (options: SimOptions): { fleet: FleetOptions } | { problems: readonly string[] } => {
  const problems: string[] = []
  const complain = (name: string, text: string, problem: string, suggestion: string | undefined) => {
    problems.push(`--${name} ${text}: ${problem}${suggestion === undefined ? '' : `; nearest valid: ${suggestion}`}`)
  }
  const take = <T>(name: string, text: string | undefined, parse: (text: string) => Parsed<T>): T | undefined => {
    if (text === undefined) return undefined
    const parsed = parse(text)
    if ('value' in parsed) return parsed.value
    complain(name, text, parsed.problem, parsed.nearest)
    return undefined
  }
  try {
    parseGatewayUrl(options.url)
  } catch (error) {
    complain('url', options.url, error instanceof Error ? error.message : String(error), 'mqtt://127.0.0.1:1883')
  }
  const members =
    options.mix === undefined
      ? [member(take, options.profile, options.count)]
      : options.mix.split(',').map(part => take('mix', part, parseMixPart))
  const total = members.reduce((sum, each) => sum + (each?.count ?? 0), 0)
  if (total > maxDevices)
    complain(options.mix ? 'mix' : 'count', String(total), 'is over the limit', String(maxDevices))
  const fleet: FleetOptions = {
    url: options.url,
    members: members.filter(each => each !== undefined),
    readingsPerSecond: take('rate', options.rate, text => parseNumber(text, 0.0001, 1000)),
    seed: take('seed', options.seed, text => parseWhole(text, 0, Number.MAX_SAFE_INTEGER)) ?? 1,
    startMs: take('start', options.start, parseStart),
    durationMs: take('duration', options.duration, parseDuration),
    qos: take('qos', options.qos, parseQos),
    encoding: take('encoding', options.encoding, text => parseOneOf(text, ['cbor', 'json'] as const)),
    scenario: scenarioOf(options, take),
    site: take('site', options.site, parseSite) ?? 'lab',
    connectsPerSecond: take('connect-rate', options.connectRate, text => parseNumber(text, 1, 100_000)) ?? 500,
  }
  return problems.length === 0 ? { fleet } : { problems }
}

type Take = <T>(name: string, text: string | undefined, parse: (text: string) => Parsed<T>) => T | undefined

const parseProfile = (name: string): Parsed<DeviceProfile> => {
  const profile = profileNamed(name)
  if (profile) return { value: profile }
  const names = profiles.map(each => each.name)
  return { problem: `is not a device profile (${names.join(', ')})`, nearest: nearest(name, names) ?? 'env' }
}

const member = (take: Take, profileText: string, countText: string) => {
  const profile = take('profile', profileText, parseProfile)
  const count = take('count', countText, text => parseWhole(text, 1, maxDevices))
  return profile === undefined || count === undefined ? undefined : { profile, count }
}

/** `env=10` */
const parseMixPart = (text: string): Parsed<{ profile: DeviceProfile; count: number }> => {
  const [name = '', countText = '', ...rest] = text.split('=')
  const profile = parseProfile(name)
  const count = parseWhole(countText, 1, maxDevices)
  if ('value' in profile && 'value' in count && rest.length === 0) {
    return { value: { profile: profile.value, count: count.value } }
  }
  const validName = 'value' in profile ? name : profile.nearest
  const validCount = 'value' in count ? countText : count.nearest
  return { problem: 'is not PROFILE=COUNT', nearest: `${validName}=${validCount}` }
}

const parseOneOf = <T extends string>(text: string, choices: readonly T[]): Parsed<T> => {
  const choice = choices.find(each => each === text)
  if (choice !== undefined) return { value: choice }
  return { problem: `is not one of ${choices.join(', ')}`, nearest: nearest(text, choices) ?? '' }
}

const parseQos = (text: string): Parsed<0 | 1 | 2> => {
  const qos = ([0, 1, 2] as const).find(each => String(each) === text)
  return qos === undefined ? { problem: 'is not 0, 1 or 2', nearest: Number(text) > 2 ? '2' : '1' } : { value: qos }
}

const parseSite = (text: string): Parsed<string> =>
  /^[^/+#{}\0]+$/.test(text)
    ? { value: text }
    : { problem: 'is not one level of an MQTT topic', nearest: text.replace(/[/+#{}\0]+/g, '-') || 'lab' }

const parseStart = (text: string): Parsed<number> => {
  const timeMs = Date.parse(text)
  return Number.isNaN(timeMs)
    ? { problem: 'is not an ISO 8601 time', nearest: '2025-06-01T00:00:00Z' }
    : { value: timeMs }
}

const parseScenario = (name: string): Parsed<Scenario> => {
  const scenario = scenarioNamed(name)
  if (scenario) return { value: scenario }
  const names = scenarios.map(each => each.name)
  return { problem: `is not a scenario (${names.join(', ')})`, nearest: nearest(name, names) ?? steady.name }
}

const scenarioOf = (options: SimOptions, take: Take): Scenario => {
  const scenario = take('scenario', options.scenario, parseScenario) ?? steady
  const lossRatio = take('loss', options.loss, parseRatio)
  const latencyMs = take('latency', options.latency, parseDuration)
  const drops = (options.drop ?? []).map(text => take('drop', text, parseDrop))
  const conditions = {
    ...(lossRatio === undefined ? {} : { lossRatio }),
    ...(latencyMs === undefined ? {} : { latencyMs }),
  }
  return withFaults(
    scenario,
    conditions,
    drops.filter((fault): fault is TimedFault => fault !== undefined),
  )
}
