import { type Document, isMap, isScalar, LineCounter, type Node, type Pair, parseDocument } from 'yaml'
import type { SettingProblem } from './setting-problem.ts'
import { settingKeys } from './settings.ts'

/** One value of the file. `text` for a plain value, `tree` for a list or a map of a structured setting. */
export interface FileEntry {
  readonly key: string
  /** `brooklet.yaml:12` */
  readonly place: string
  readonly text?: string
  readonly tree?: unknown
}

const MAX_DEPTH = 10

/**
 * Reads YAML whose keys are dotted, nested or both, and returns its values by dotted key. Keys are not judged here, except that
 * one given twice, a missing value and broken YAML are problems.
 */
export function readSettingsFile(path: string, text: string): { entries: FileEntry[]; problems: SettingProblem[] } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const placeOf = (offset: number) => `${path}:${lines.linePos(offset).line}`
  const problems: SettingProblem[] = document.errors.map(error => ({
    key: '',
    place: placeOf(error.pos[0]),
    reason: `not valid YAML: ${error.message.split('\n')[0]?.replace(/ at line \d+.*$/, '') ?? error.code}`,
  }))
  if (problems.length > 0 || document.contents === null) return { entries: [], problems }

  const entries: FileEntry[] = []
  const walk = (node: Node | null, key: string, place: string, depth: number): void => {
    if (isMap(node) && depth < MAX_DEPTH && !(settingKeys as readonly string[]).includes(key)) {
      for (const pair of node.items as Pair<Node, Node | null>[]) {
        const name = isScalar(pair.key) ? String(pair.key.value) : '?'
        const here = placeOf(pair.key.range?.[0] ?? 0)
        walk(pair.value, key === '' ? name : `${key}.${name}`, here, depth + 1)
      }
    } else if (key === '') {
      problems.push({ key, place, reason: 'a map of settings is expected, one "key: value" a line' })
    } else if (entries.some(entry => entry.key === key)) {
      problems.push({ key, place, reason: 'is given twice in this file' })
    } else if (node === null || (isScalar(node) && node.value === null)) {
      problems.push({ key, place, reason: 'has no value; leave the line out to get the default' })
    } else {
      try {
        entries.push({ key, place, ...valueOfNode(node, document) })
      } catch {
        problems.push({ key, place, reason: 'its YAML aliases are unknown or too many' })
      }
    }
  }
  walk(document.contents as Node, '', `${path}:1`, 0)
  return { entries, problems }
}

/** A plain value as its text, as written: YAML's own idea of it does not count, all sources have one parser. */
function valueOfNode(node: Node, document: Document): { text: string } | { tree: unknown } {
  if (isScalar(node)) return { text: node.source ?? String(node.value) }
  const tree: unknown = node.toJS(document, { maxAliasCount: 100 })
  return typeof tree === 'object' ? { tree } : { text: String(tree) }
}
