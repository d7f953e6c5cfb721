import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { sourceFiles } from './source-files.ts'

/** Words that say nothing here or mean something else in the field, and what to say instead. */
const banned: Readonly<Record<string, string>> = {
  manager: 'name what it does: log, writer, registry, view',
  helper: 'name what it computes',
  helpers: 'name what they compute',
  util: 'name what it computes',
  utils: 'name what they compute',
  misc: 'name the one idea of the file',
  message: 'record (in the log), publish (MQTT), request or response (Kafka)',
  node: 'gateway, or broker where Kafka means it',
  data: 'bytes, record, batch or payload',
  info: 'details, summary, or what it is about',
}

/** Words of the protocols and of the system, which win over the glossary. */
const protocolNames: readonly RegExp[] = [
  // Kafka calls a broker in a response a node, and its settings and errors speak of messages
  /^(nodeId|brokerNodeId|nodeEndpoints?|leaderNodeId)$/i,
  /^(maxMessageBytes|messageTimestamp\w*|errorMessage|messageBytes)$/i,
  // what Node.js, the runtime, brings
  /^node[A-Z]\w*$/,
  /OfNode$/,
  // Kafka's partitionData and topicData: names of fields on the wire, kept as the definitions have them
  /^(partition|topic)Data$/,
  // Sparkplug's words for who is connected, and for a table as a value
  /^edgeNodes?$|DataSet$/i,
  // the setting data.dir: product word for the directory that holds everything
  /data-?directory/i,
]

const words = (name: string): string[] =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[\s_.-]+/)
    .map(word => word.toLowerCase())

const bannedWord = (name: string): string | undefined =>
  protocolNames.some(known => known.test(name)) ? undefined : words(name).find(word => Object.hasOwn(banned, word))

test('file names use the words of the field', () => {
  const wrong = sourceFiles.flatMap(({ path }) => {
    const word = bannedWord(basename(path).replace(/\.m?ts$/, ''))
    return word === undefined ? [] : [`${path}: ${word} -> ${banned[word]}`]
  })
  expect(wrong).toEqual([])
})

test('exported names use the words of the field', () => {
  const exported =
    /^export\s+(?:default\s+)?(?:abstract\s+)?(?:async\s+)?(?:const|let|function\*?|class|interface|type)\s+(\w+)/gm
  // in src/platform/node, Node is the runtime
  const files = sourceFiles.filter(({ path }) => !path.startsWith('src/platform/node/'))
  const wrong = files.flatMap(({ path, code }) =>
    [...code.matchAll(exported)].flatMap(([, name = '']) => {
      const word = bannedWord(name)
      return word === undefined ? [] : [`${path}: ${name}: ${word} -> ${banned[word]}`]
    }),
  )
  expect(wrong).toEqual([])
})

test('file names are lower case words joined by hyphens', () => {
  const wrong = sourceFiles
    .map(({ path }) => basename(path))
    .filter(name => !/^[a-z0-9]+(-[a-z0-9]+)*\.m?ts$/.test(name))
  expect(wrong).toEqual([])
})

test('the log is never called a queue', () => {
  const exported = (code: string) => code.split('\n').filter(line => line.startsWith('export '))
  const wrong = sourceFiles
    .filter(({ path }) => path.startsWith('src/storage/'))
    .filter(({ path, code }) => [path, ...exported(code)].some(text => /queue/i.test(text)))
    .map(({ path }) => path)
  expect(wrong, 'say log, or what waits: pending, backlog').toEqual([])
})
