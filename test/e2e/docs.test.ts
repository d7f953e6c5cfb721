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

/** Lines of `sh` blocks that call brooklet, as words; what stands behind a pipe is another program. */
const commandsIn = (text: string): string[][] =>
  [...text.matchAll(/```sh\n(.*?)```/gs)]
    .flatMap(([, block = '']) => block.split('\n'))
    .map(line =>
      line
        .replace('node dist/main.js ', 'brooklet ')
        .split(/ [|&>]/)[0]!
        .trim(),
    )
    .filter(line => line.startsWith('brooklet '))
    .map(line => line.split(/\s+/).slice(1))

const help = new Map<string, string>()

const helpOf = (words: readonly string[]): string => {
  const name = words.join(' ')
  if (!help.has(name)) help.set(name, execFileSync(process.execPath, [main, ...words, '--help'], { encoding: 'utf8' }))
  return help.get(name)!
}

describe('the pages', () => {
  it('have only links that lead somewhere', () => {
    const broken = pages.flatMap(page =>
      [...textOf(page).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, link = '']) => link)
        .filter(link => !link.includes('://') && !existsSync(resolve(root, dirname(page), link)))
        .map(link => `${page}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  it('show only commands and options that exist', () => {
    const wrong: string[] = []
    for (const page of pages) {
      for (const words of commandsIn(textOf(page))) {
        const path = ['topics', 'groups', 'log', 'routes', 'config'].includes(words[0]!)
          ? words.slice(0, 2)
          : words.slice(0, 1)
        const known = helpOf(path)
        for (const word of words.slice(path.length).filter(text => text.startsWith('--'))) {
          if (!known.includes(`${word} `) && !known.includes(`${word}\n`))
            wrong.push(`${page}: ${words.join(' ')}: ${word}`)
        }
      }
    }
    expect(wrong).toEqual([])
  })

  it('name every command', () => {
    const names = [...helpOf([]).matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name]) => name!).filter(name => name !== 'help')
    expect(names.length).toBeGreaterThan(8)
    const told = pages.map(textOf).join('\n')
    expect(names.filter(name => !new RegExp(`brooklet ${name}|main.js ${name}|run ${name}`).test(told))).toEqual([])
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
