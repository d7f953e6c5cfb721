import { nearestWord } from './nearest-word.ts'
import { type Parsed, quoted, wrong } from './value-types.ts'

/** Text with placeholders: `devices/{key}/commands` is the literal `devices/`, the name `key` and the literal `/commands`. */
export interface Template {
  readonly text: string
  readonly parts: readonly TemplatePart[]
}

export type TemplatePart = { readonly literal: string } | { readonly name: string }

/** What a placeholder may be called. */
export const placeholderName = /^[A-Za-z][A-Za-z0-9_.]*$/

/**
 * Splits `text` at its placeholders; each must be one of `names` (any will do while those are unknown) or fit `pattern`. A brace cannot stand for
 * itself.
 */
export function parseTemplate(text: string, names: readonly string[] | undefined, pattern?: RegExp): Parsed<Template> {
  const parts: TemplatePart[] = []
  let position = 0
  for (const match of text.matchAll(/\{([^{}]*)\}/g)) {
    if (match.index > position) parts.push({ literal: text.slice(position, match.index) })
    const name = match[1] ?? ''
    if (names !== undefined && !names.includes(name) && !pattern?.test(name))
      return wrong(unknownPlaceholder(name, names), nearestPlaceholder(name, names))
    parts.push({ name })
    position = match.index + match[0].length
  }
  if (position < text.length) parts.push({ literal: text.slice(position) })
  const stray = parts.some(part => 'literal' in part && /[{}]/.test(part.literal))
  return stray ? wrong(`${quoted(text)} has a brace without its partner`) : { value: { text, parts } }
}

function unknownPlaceholder(name: string, names: readonly string[]): string {
  const known = names.length === 0 ? 'there are none here' : `there are ${names.map(one => `{${one}}`).join(', ')}`
  return `the placeholder {${name}} is not known, ${known}`
}

function nearestPlaceholder(name: string, names: readonly string[]): string | undefined {
  const nearest = nearestWord(name, names) ?? names[0]
  return nearest === undefined ? undefined : `{${nearest}}`
}
