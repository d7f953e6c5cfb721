import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadSettings } from '../../src/config/load.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const main = join(root, 'dist/main.js')
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map(name => `docs/${name}`)].filter(path =>
  path.endsWith('.md'),
)
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Command lines of `sh` blocks, `&&` taken apart; what stands behind a pipe is another program. */
const linesIn = (text: string): string[] =>
  [...text.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block = '']) => block.split(/\n| && /)).map(line => line.trim())

/** Those that call brooklet, as words behind its name; a quoted text is one word. */
const commandsIn = (text: string): string[][] =>
  linesIn(text)
    .map(line => line.replace('node dist/main.js ', 'brooklet ').split(/ [|&>]/)[0]!)
    .filter(line => line.startsWith('brooklet '))
    .map(line => (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).slice(1))

const help = new Map<string, string>()

const helpOf = (words: readonly string[]): string => {
  const name = words.join(' ')
  if (!help.has(name)) help.set(name, execFileSync(process.execPath, [main, ...words, '--help'], { encoding: 'utf8' }))
  return help.get(name)!
}

/** The words that name the command: two where the first one has commands of its own. */
const commandOf = (words: readonly string[]): readonly string[] =>
  words.slice(0, /^Usage: .*\[command\]/.test(helpOf(words.slice(0, 1))) ? 2 : 1)

/** What is wrong with a command line, by the help of its command. */
const faultsOf = (words: readonly string[]): string[] => {
  const command = commandOf(words)
  const known = helpOf(command)
  if (!known.startsWith(`Usage: brooklet ${command.join(' ')} `)) return ['there is no such command']
  const options = new Set(
    [...known.matchAll(/^ +(-\w)?(?:, )?(--[a-z-]+)?/gm)].flatMap(([, short, long]) => [short, long]),
  )
  return words.slice(command.length).filter(word => /^--?[a-z]/i.test(word) && !options.has(word))
}

const headingLinks = new Map<string, ReadonlySet<string>>()

/** Anchors of a page, as GitHub makes them of its headings. */
const anchorsOf = (path: string): ReadonlySet<string> => {
  const known = headingLinks.get(path)
  if (known !== undefined) return known
  const anchors = [...readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
  headingLinks.set(path, new Set(anchors))
  return headingLinks.get(path)!
}

const leadsSomewhere = (page: string, link: string): boolean => {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? join(root, page) : resolve(root, dirname(page), path)
  return existsSync(target) && (anchor === undefined || anchorsOf(target).has(anchor))
}

const sourcesUnder = (folder: string): string =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => textOf(join(folder, name)))
    .join('\n')

it('the container file copies what is there', () => {
  const copied = [...textOf('deploy/Containerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) =>
    paths.split(' '),
  )
  expect(copied).toContain('package-lock.json')
  expect(copied.filter(path => !existsSync(join(root, path)))).toEqual([])
})

it('the help fits a terminal of 80 columns, a line for each command', () => {
  const overview = helpOf([])
  const names = [...overview.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name = '']) => name).filter(name => name !== 'help')
  expect(overview.split('Commands:\n')[1]!.trimEnd().split('\n')).toHaveLength(names.length + 1)
  const lines = names.flatMap(name => helpOf([name]).split('\n')).filter(line => line.length > 80)
  expect(lines).toEqual([])
})

describe('the pages', () => {
  it('have only links that lead somewhere', () => {
    const broken = pages.flatMap(page =>
      [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, link = '']) => link)
        .filter(link => !link.includes('://') && !leadsSomewhere(page, link))
        .map(link => `${page}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  it('show only commands and options that exist', () => {
    const commands = pages.flatMap(page => commandsIn(textOf(page)).map(words => ({ page, words })))
    expect(commands.length).toBeGreaterThan(40)
    const wrong = commands.flatMap(({ page, words }) =>
      faultsOf(words).map(fault => `${page}: ${words.join(' ')}: ${fault}`),
    )
    expect(wrong).toEqual([])
  })

  it('show only npm scripts that exist', () => {
    const scripts = Object.keys(JSON.parse(textOf('package.json')).scripts)
    const shown = pages.flatMap(page => [...textOf(page).matchAll(/npm run ([a-z:]+)/g)].map(([, name = '']) => name))
    expect(shown.filter(name => !scripts.includes(name))).toEqual([])
  })

  it('name every command', () => {
    const names = [...helpOf([]).matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name]) => name!).filter(name => name !== 'help')
    expect(names.length).toBeGreaterThan(8)
    const told = pages.map(textOf).join('\n')
    expect(names.filter(name => !new RegExp(`brooklet ${name}|main.js ${name}`).test(told))).toEqual([])
  })

  it('quote what the gateway says as it says it', () => {
    const table = textOf('docs/operations.md').split('## When something is wrong')[1]!
    const quotes = [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, quote = '']) => quote)
    expect(quotes.length).toBeGreaterThan(15)
    // a text that is broken over lines in the source is one here
    const said = sourcesUnder('src').replaceAll(/['`] \+\n\s*['`]/g, '')
    expect(quotes.filter(quote => !said.includes(quote))).toEqual([])
  })

  it('name only metrics and settings that exist', () => {
    const metrics = textOf('docs/reference/metrics.md')
    const settings = textOf('docs/reference/settings.md')
    const own = pages
      .filter(page => page !== 'docs/FORMAT.md')
      .map(textOf)
      .join('\n')
    const wrongMetrics = [...own.matchAll(/`(brooklet_\w+)`/g)].filter(
      ([, name = '']) => !metrics.includes(`\`${name}\``),
    )
    const linked = [...own.matchAll(/\[`([\w.]+)(?:=\w+)?`\]\([^)]*settings\.md#(\w+)\)/g)]
    expect(linked.length).toBeGreaterThan(15)
    const wrongSettings = linked.filter(
      ([, key = '', anchor]) => !settings.includes(`\n## ${key}\n`) || key.replaceAll('.', '') !== anchor,
    )
    expect([...wrongMetrics, ...wrongSettings].map(([text]) => text)).toEqual([])
  })
})

it('the sample settings are good', () => {
  const text = textOf('deploy/brooklet.yaml')
  const loaded = loadSettings({
    file: { path: 'deploy/brooklet.yaml', text },
    environment: {},
    flags: new Map(),
    set: [],
    memoryBytes: 4 * 2 ** 30,
    diskBytes: () => 32 * 2 ** 30,
  })
  expect(loaded.settings.routes.length).toBe(2)
  expect(loaded.settings.deliver.length).toBe(1)
})
