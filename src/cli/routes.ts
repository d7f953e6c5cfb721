import { Command } from 'commander'
import type { RouteExplanation } from '../broker/route-explanation.ts'
import type { LoadedSettings } from '../config/load.ts'
import { otherTopic } from '../mqtt/default-route.ts'
import { explainRoute } from '../mqtt/route-explanation.ts'
import { HttpClient } from './http-client.ts'
import { settingsFromFlags } from './setting-flags.ts'

interface TestFlags {
  readonly config?: string
  readonly set: readonly string[]
  readonly http?: string
  readonly json?: boolean
}

/** What the settings alone say: which topics exist, and who shares them, only a running gateway knows. */
const explainFromSettings = ({ settings }: LoadedSettings, mqttTopic: string): RouteExplanation => {
  const routes = {
    routes: settings.routes,
    placeFor: ({ topic }: { readonly topic: string }) => topic,
    sharedWith: () => [],
  }
  const known = { topics: { find: () => undefined } }
  const { topicExists, sharedWith, ...explanation } = explainRoute(routes, known, settings['num.partitions'], mqttTopic)
  if (explanation.rule !== 'default route' || explanation.topic === otherTopic) return explanation
  const limit = `goes to ${otherTopic} instead once the gateway has ${settings['mqtt.auto.topics.max']} topics (mqtt.auto.topics.max)`
  return { ...explanation, notes: [...explanation.notes, limit] }
}

const partitionText = ({ partition, partitions }: RouteExplanation): string =>
  partition === null ? `any of ${partitions}, batch by batch` : `${partition} of ${partitions}`

/** The lines for people. */
const explanationText = (explanation: RouteExplanation): string => {
  const { mqttTopic, rule, stored, topic = '', topicExists, key, headers = {}, notes } = explanation
  const rows: [string, string][] = [
    ['MQTT topic', mqttTopic],
    ['rule', rule],
  ]
  if (stored) {
    rows.push(['topic', topicExists === false ? `${topic} (made by the first publish)` : topic])
    rows.push(['partition', partitionText(explanation)])
    rows.push(['key', key ?? 'none'])
    for (const [name, value] of Object.entries(headers)) rows.push(['header', `${name}: ${value}`])
  } else rows.push(['stored', 'no'])
  for (const note of notes) rows.push(['note', note])
  return rows.map(([name, value]) => `${name.padEnd(10)}  ${value}\n`).join('')
}

/** `brooklet routes test`: where a publish would go. */
const testCommand = (): Command =>
  new Command('test')
    .description('show where a publish to an MQTT topic goes: by the settings, or by a running gateway')
    .argument('<mqtt-topic>')
    .option('--config <file>', 'settings file (YAML); also BROOKLET_CONFIG')
    .option(
      '--set <key=value>',
      'any setting by its key; may be repeated',
      (text, before: string[]) => [...before, text],
      [],
    )
    .option('--http <host:port>', 'ask the running gateway with this HTTP listener')
    .option('--json', 'print JSON')
    .action(async (mqttTopic: string, flags: TestFlags) => {
      const { http, json } = flags
      const explanation =
        http === undefined
          ? explainFromSettings(await settingsFromFlags({ ...flags }), mqttTopic)
          : await new HttpClient(http).get<RouteExplanation>(`/api/v1/routes?topic=${encodeURIComponent(mqttTopic)}`)
      process.stdout.write(json ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation))
    })

/** `brooklet routes`: the way from MQTT topics to topics of the log. */
export const routesCommand = (): Command =>
  new Command('routes').description('explain the way from MQTT to the log').addCommand(testCommand())
