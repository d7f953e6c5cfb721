import {
  type ClientSecurityKey,
  type ClientSecurityValues,
  checkClientSecurity,
  clientSecurityKeys,
  clientSecurityRows,
} from './client-security.ts'
import { nearestWord } from './nearest-word.ts'
import { type Property, readProperties } from './properties-file.ts'
import { type SettingProblem, settingsError } from './setting-problem.ts'
import type { Setting } from './setting-row.ts'

/** Names of librdkafka for what Java's clients call otherwise. */
const otherNames: Readonly<Record<string, ClientSecurityKey>> = {
  'ssl.ca.location': 'ssl.truststore.location',
  'sasl.mechanisms': 'sasl.mechanism',
  'sasl.oauthbearer.client.id': 'sasl.oauthbearer.client.credentials.client.id',
  'sasl.oauthbearer.client.secret': 'sasl.oauthbearer.client.credentials.client.secret',
}

/** What Java's clients need to be told and we do not: the one value that is true here, or any. */
const understood: Readonly<Record<string, string | undefined>> = {
  'ssl.truststore.type': 'PEM',
  'ssl.keystore.type': 'PEM',
  'sasl.oauthbearer.method': 'oidc',
  'sasl.login.callback.handler.class': undefined,
}

/**
 * How to connect, from a properties file as the tools of Kafka take it. What is not about security (`client.id`, timeouts) is passed over,
 * as they do. Throws one `StartError` (exit code 64) that names every problem.
 */
export const readClientProperties = (path: string, text: string): ClientSecurityValues => {
  const problems: SettingProblem[] = []
  const values: Partial<Record<ClientSecurityKey, unknown>> = {}
  const lines = new Map<string, number>()
  for (const property of readProperties(text)) {
    const place = `${path}:${property.line}`
    const key = knownKey(property, place, problems)
    if (key === undefined) continue
    lines.set(key, property.line)
    const row: Setting<unknown> = clientSecurityRows[key] as unknown as Setting<unknown>
    const parsed = row.type.parse(property.value)
    if ('value' in parsed) values[key] = parsed.value
    else if (row.secret) problems.push({ key: property.key, place, reason: `is not ${row.type.shape}` })
    else problems.push(...parsed.problems.map(problem => ({ ...problem, key: property.key, place })))
  }
  const chosen = Object.fromEntries(
    clientSecurityKeys.map(key => [key, values[key] ?? clientSecurityRows[key].fallback]),
  ) as ClientSecurityValues
  checkClientSecurity(chosen, (key, reason) => {
    const line = lines.get(key)
    problems.push({ key, place: line === undefined ? path : `${path}:${line}`, reason })
  })
  if (problems.length > 0) throw settingsError(problems)
  return chosen
}

const knownKey = ({ key, value }: Property, place: string, problems: SettingProblem[]) => {
  const known = clientSecurityKeys.find(one => one === key) ?? otherNames[key]
  if (known !== undefined || !/^(security|ssl|sasl)\./.test(key)) return known
  if (!Object.hasOwn(understood, key)) {
    const nearest = nearestWord(key, clientSecurityKeys)
    problems.push({ key, place, reason: 'is not known here', ...(nearest === undefined ? {} : { nearest }) })
  } else if (understood[key] !== undefined && understood[key] !== value) {
    problems.push({ key, place, reason: 'has one value here', nearest: `${key}=${understood[key]}` })
  }
  return undefined
}
