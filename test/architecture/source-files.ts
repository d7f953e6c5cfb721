import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Paths of the tree as git sees it: what is committed or could be, without what is ignored. */
export const treeFiles: readonly string[] = execFileSync(
  'git',
  ['-c', 'safe.directory=*', 'ls-files', '-co', '--exclude-standard'],
  {
    cwd: root,
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter(path => path !== '' && exists(path))

export const readTreeFile = (path: string): string => readFileSync(`${root}/${path}`, 'utf8')

export interface SourceFile {
  readonly path: string
  readonly text: string
  /** `text` without comments and without the contents of strings; same line numbers. */
  readonly code: string
  /** What its import lines name: paths from the root for relative ones, package names else. */
  readonly imports: readonly string[]
}

/** TypeScript of the product: src, devices, firmware-sim. */
export const sourceFiles: readonly SourceFile[] = treeFiles
  .filter(path => /^(src|devices|firmware-sim)\/.*\.m?ts$/.test(path) && !path.endsWith('.d.ts'))
  .map(path => {
    const text = readTreeFile(path)
    return { path, text, code: codeOf(text), imports: importsOf(path, text) }
  })

export const inFolder = (folder: string) => (file: SourceFile) => file.path.startsWith(`${folder}/`)

function exists(path: string): boolean {
  try {
    readFileSync(`${root}/${path}`)
    return true
  } catch {
    return false
  }
}

function importsOf(path: string, text: string): string[] {
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/g,
  )
  return [...found].map(match => {
    const name = match[1] ?? match[2] ?? ''
    return name.startsWith('.') ? posix.join(dirname(path), name) : name
  })
}

/** Comments go, string contents become empty, template literals keep what stands in `${}`; newlines stay. */
export function codeOf(text: string): string {
  const token = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\$]|\\[\s\S]|\$(?!\{))*`/g
  return text.replace(token, found => found.replace(/[^\n]+/g, found.startsWith('/') ? '' : "''"))
}
