import { expect, test } from 'vitest'
import { codeOf, inFolder, readTreeFile, sourceFiles, treeFiles } from './source-files.ts'

interface Ban {
  readonly pattern: RegExp
  readonly instead: string
}

/** What only src/platform may do, and what everyone else does instead. */
const bans: readonly Ban[] = [
  // formatting and parsing a time that was given is no clock
  {
    pattern: /\bDate\s*\.\s*now\b|(?<!new )\bDate\s*\(|\bnew Date\b(?!\s*\(\s*[^)\s])/,
    instead: 'take a Clock and call wallMs()',
  },
  { pattern: /\bperformance\s*\./, instead: 'take a Clock and call monotonicMs()' },
  { pattern: /\b(setTimeout|setInterval|setImmediate)\b/, instead: 'take a Clock and call after() or afterIo()' },
  { pattern: /\bMath\s*\.\s*random\b/, instead: 'take a Random' },
  { pattern: /\b(randomBytes|randomUUID|randomInt|getRandomValues)\b/, instead: 'take a Random' },
  { pattern: /\bprocess\s*\.\s*(env|hrtime|memoryUsage|on|once|kill|cwd|chdir)\b/, instead: 'ask platform/node/host' },
]

/** Modules of Node that only src/platform/node may import. */
const systemModule =
  /^(node:)?(fs|net|http|http2|https|tls|dgram|dns|child_process|worker_threads|cluster|timers|os|perf_hooks)(\/promises)?$/

/** Only the entry and the commands speak to the terminal. */
const processBan: Ban = {
  pattern: /\bprocess\s*\.\s*\w|\bconsole\s*\.\s*\w/,
  instead: 'log with a Logger; main and cli own the process',
}

const linesWith = (path: string, text: string, ban: Ban): string[] =>
  text
    .split('\n')
    .flatMap((line, index) =>
      ban.pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()} -> ${ban.instead}`] : [],
    )

const outsidePlatform = sourceFiles.filter(inFolder('src')).filter(file => !file.path.startsWith('src/platform/node/'))

test('clock, timers, randomness and environment are touched in src/platform/node only', () => {
  const wrong = outsidePlatform.flatMap(file => bans.flatMap(ban => linesWith(file.path, file.code, ban)))
  expect(wrong).toEqual([])
})

test('files, sockets, processes and threads are opened in src/platform/node only', () => {
  const wrong = outsidePlatform.flatMap(file =>
    file.imports.filter(name => systemModule.test(name)).map(name => `${file.path} imports ${name}`),
  )
  expect(wrong, 'take Files, Network, ListenHttp or CommitWriter of src/platform').toEqual([])
})

test('the bans find what they ban, and only that', () => {
  const banned = [
    'Date.now()',
    'x = new Date()',
    'new Date',
    'setTimeout(f, 1)',
    'Math.random()',
    'process.env.X',
    'performance.now()',
  ]
  const free = [
    'new Date(timestampMs).toISOString()',
    'Date.parse(text)',
    'this.random',
    '// Date.now()',
    "'Math.random()'",
  ]
  const isBanned = (line: string) => bans.some(ban => ban.pattern.test(codeOf(line)))
  expect(banned.filter(line => !isBanned(line))).toEqual([])
  expect(free.filter(isBanned)).toEqual([])
})

test('process and console belong to main and the commands', () => {
  const wrong = outsidePlatform
    .filter(file => file.path !== 'src/main.ts' && !file.path.startsWith('src/cli/'))
    .flatMap(file => linesWith(file.path, file.code, processBan))
  expect(wrong).toEqual([])
})

test('no file of the product is longer than 400 lines', () => {
  const long = sourceFiles
    .map(file => ({ path: file.path, lines: file.text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > 400)
  expect(long, 'find the second thing that the file does').toEqual([])
})

test('no file of the product leaves work for later or silences the compiler', () => {
  const later: Ban[] = [
    { pattern: /\b(TODO|FIXME|XXX|HACK)\b/, instead: 'do it now, or say in the docs what is missing' },
    { pattern: /@ts-(ignore|expect-error|nocheck)/, instead: 'a type that is true' },
    { pattern: /\bas any\b|: any\b|<any>/, instead: 'unknown, and a check' },
  ]
  const wrong = sourceFiles.flatMap(file =>
    later.flatMap(ban => linesWith(file.path, ban.pattern.source.startsWith('\\bas any') ? file.code : file.text, ban)),
  )
  expect(wrong).toEqual([])
})

test('no test is skipped by hand or left alone with its file', () => {
  const ban: Ban = {
    pattern: /\b(it|test|describe)\s*\.\s*(skip|only|todo)\b/,
    instead: 'requireTool of test/support/tools.ts names what is missing',
  }
  const wrong = treeFiles
    .filter(path => /^test\/.*\.test\.ts$/.test(path))
    .flatMap(path => linesWith(path, codeOf(readTreeFile(path)), ban))
  expect(wrong).toEqual([])
})
