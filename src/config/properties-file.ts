export interface Property {
  readonly key: string
  readonly value: string
  /** Where it begins, from 1. */
  readonly line: number
}

/** The key ends at the first `=`, `:` or space that no backslash stands before. */
const assignment = /^((?:[^\s=:\\]|\\.)+)\s*[=:]?\s*(.*)$/s
const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

/** The text of a `.properties` file as `java.util.Properties` reads it: comments, continued lines and escapes. */
export const readProperties = (text: string): Property[] => {
  const properties: Property[] = []
  const lines = text.split(/\r\n|\r|\n/)
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1
    let logical = lines[at]!.trimStart()
    if (logical === '' || /^[#!]/.test(logical)) continue
    while (/(?<!\\)(\\\\)*\\$/.test(logical) && at + 1 < lines.length)
      logical = logical.slice(0, -1) + lines[++at]!.trimStart()
    const [, key = logical, value = ''] = assignment.exec(logical) ?? []
    properties.push({ key: unescaped(key), value: unescaped(value), line })
  }
  return properties
}

const unescaped = (text: string): string =>
  text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_all, hex: string | undefined, plain: string) =>
    hex === undefined ? (escapes[plain] ?? plain) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
