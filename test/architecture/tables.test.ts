import { expect, test } from 'vitest'
import { settingKeys } from '../../src/config/settings.ts'
import { topicConfigKeys, topicConfigRow } from '../../src/config/topic-config-table.ts'
import { uplinkConnectionSettings } from '../../src/config/uplink-connection.ts'
import { errorKinds } from '../../src/core/errors.ts'
import { metricTable } from '../../src/core/metrics.ts'
import { readTreeFile, sourceFiles, treeFiles } from './source-files.ts'

/** Text of all product files but those that define the tables. */
const textOutside = (...definitions: string[]): string =>
  sourceFiles
    .filter(file => file.path.startsWith('src/') && !definitions.some(path => file.path.startsWith(path)))
    .map(file => file.text)
    .join('\n')

const isQuoted = (text: string) => (word: string) => text.includes(`'${word}'`)

test('every kind of error is thrown somewhere', () => {
  const text = textOutside('src/core/errors.ts', 'src/kafka/errors.ts', 'src/mqtt/errors.ts')
  const unused = Object.keys(errorKinds).filter(kind => !isQuoted(text)(kind))
  expect(unused).toEqual([])
})

test('every metric is counted or sampled somewhere', () => {
  const text = textOutside('src/core/metrics.ts')
  const unused = Object.keys(metricTable).filter(key => !isQuoted(text)(key))
  expect(unused).toEqual([])
})

test('every setting has an effect somewhere outside config', () => {
  const text = textOutside('src/config/')
  // the client takes its security under the names that it has without a prefix
  const inCode = (key: string) => (Object.hasOwn(uplinkConnectionSettings, key) ? key.slice('uplink.'.length) : key)
  const isUsed = (key: string) => isQuoted(text)(key) || new RegExp(`settings\\.${key}\\b`).test(text)
  const unused = settingKeys.filter(key => !isUsed(inCode(key)))
  // topic configs take these as their defaults, and the cross checks of config are all that this one is for
  const inConfig = [
    ...topicConfigKeys.map(key => topicConfigRow(key).setting as string | undefined),
    'insecure.listeners',
  ]
  expect(unused.filter(key => !inConfig.includes(key))).toEqual([])
})

test('every dependency has its reason in docs/decisions', () => {
  const { dependencies, devDependencies } = JSON.parse(readTreeFile('package.json'))
  const reasons = readTreeFile('docs/decisions/001-dependencies.md')
  const unnamed = Object.keys({ ...dependencies, ...devDependencies }).filter(name => !reasons.includes(`\`${name}\``))
  expect(unnamed).toEqual([])
  const named = [...reasons.matchAll(/^\| `([^`]+)` \|/gm)].map(match => match[1] ?? '')
  const gone = named.filter(name => !Object.hasOwn({ ...dependencies, ...devDependencies }, name))
  expect(gone, 'no longer in package.json').toEqual([])
})

test('decisions are listed in their README', () => {
  const list = readTreeFile('docs/decisions/README.md')
  const unlisted = treeFiles.filter(
    path => /^docs\/decisions\/\d+.*\.md$/.test(path) && !list.includes(path.replace('docs/decisions/', '')),
  )
  expect(unlisted).toEqual([])
})

test('the tree names no path of a machine and no package registry', () => {
  const places = [/(^|[\s'"`(=:])\/(work|home|root|Users|farm)\/[\w.]/, /https?:\/\/[^\s"']*registry[^\s"']*/i]
  const isText = (path: string) => !/\.(png|ico|gz|zst|lz4|snappy|bin|wasm)$/.test(path)
  const wrong = treeFiles
    .filter(path => isText(path) && !path.startsWith('test/architecture/'))
    .flatMap(path => {
      const lines = readTreeFile(path).split('\n')
      // the lock file names where npm found a package unless npm is told not to; see .npmrc
      return lines.flatMap((line, index) =>
        places.some(place => place.test(line)) ? [`${path}:${index + 1}: ${line.trim().slice(0, 120)}`] : [],
      )
    })
  expect(wrong.slice(0, 10)).toEqual([])
})
