import { metricTable } from '../core/metrics.ts'
import { environmentName, flagName, settingKeys, settingRow } from './settings.ts'
import { topicConfigKeys, topicConfigRow } from './topic-config-table.ts'

export interface ReferencePage {
  /** File name in `docs/reference`. */
  readonly name: string
  readonly content: string
}

/** How the pages are written again; the test that finds them stale says so too. */
export const refreshCommand = 'npm run build && node dist/main.js config reference --write docs/reference'

const generated = `<!-- Made from the tables in src by \`${refreshCommand}\`; edit those, not this page. -->\n`

/** The pages of `docs/reference`, made from the tables that the code itself works by. */
export const referencePages = (): ReferencePage[] => [
  { name: 'settings.md', content: settingsPage() },
  { name: 'topic-configs.md', content: topicConfigsPage() },
  { name: 'metrics.md', content: metricsPage() },
]

function settingsPage(): string {
  const sections = settingKeys.map(key => {
    const row = settingRow(key)
    const fallback = row.type.formatPlain(row.fallback) === '' ? 'empty' : `\`${row.type.format(row.fallback)}\``
    const items = [
      `- Value: ${row.type.shape}`,
      `- Default: ${fallback}`,
      `- Flag: \`${flagName(key)}\` · variable: \`${environmentName(key)}\``,
      ...(row.kafka === undefined ? [] : [`- As a Kafka broker config: \`${row.kafka}\``]),
      ...(row.live ? ['- A change takes effect without a restart'] : []),
    ]
    return [`## ${key}`, '', `${row.help}.${row.docs === undefined ? '' : ` ${row.docs}`}`, '', ...items].join('\n')
  })
  return `${generated}
# Settings

Every setting stands in \`brooklet.yaml\` (keys dotted or nested), in the environment, and on the command line, as its flag or as
\`--set key=value\`. Later ones win: default, file, environment, flag, \`--set\`. The file is named by \`--config\` or
\`BROOKLET_CONFIG\`. Unless a setting says otherwise, a change takes effect at the next start. \`brooklet config check\` names
everything that is wrong at once; \`brooklet config print\` shows what is in force and where it comes from.

Bytes: \`k\`, \`M\`, \`G\` (also \`KiB\`, \`MiB\`, \`GiB\`) are powers of 1024; \`KB\`, \`MB\`, \`GB\` are powers of 1000.
Times: \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`, \`w\`; a plain number is milliseconds.

${sections.join('\n\n')}
`
}

function topicConfigsPage(): string {
  const rows = topicConfigKeys.map(key => {
    const { type, fallback, effect, docs, setting } = topicConfigRow(key)
    const standard = setting === undefined ? `\`${type.format(fallback)}\`` : `the setting \`${setting}\``
    return `| \`${key}\` | ${type.shape} | ${fallback?.toString() === '' ? 'empty' : standard} | ${effect} | ${docs} |`
  })
  return `${generated}
# Topic configs

Kafka's topic configs, and \`durability\` and \`retention.class\`, which are Brooklet's own. They are set when a topic is created or
altered, with any Kafka tool. *Enforced*: it does what it says. *Accepted*: it is checked, stored and described, so that tools that
set it work, but it has no effect on this gateway; the last column says why.

| config | value | default | effect | |
|---|---|---|---|---|
${rows.join('\n')}
`
}

function metricsPage(): string {
  const rows = Object.values(metricTable).map(row => {
    const label = 'label' in row ? `\`${row.label}\`` : ''
    return `| \`brooklet_${row.name}\` | ${row.type} | ${label} | ${row.help} |`
  })
  return `${generated}
# Metrics

\`GET /metrics\` on the HTTP listener, in the text format of Prometheus. A counter starts at zero with the process.

| metric | type | label | |
|---|---|---|---|
${rows.join('\n')}
`
}
