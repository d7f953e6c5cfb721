import { type ValueType, wrong } from './value-types.ts'

/** Options of a login module by name. */
export type JaasOptions = ReadonlyMap<string, string>

const entry =
  /^\s*[\w.$]+\s+(?:required|requisite|sufficient|optional)((?:\s+[\w.]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s";]+))*)\s*;\s*$/
const option = /([\w.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))/g

/** One entry of a JAAS configuration, as in `...ScramLoginModule required username="a" password="b";`. */
export const jaasConfig: ValueType<JaasOptions> = {
  configType: 'STRING',
  shape: 'empty or `MODULE required NAME="VALUE" ...;`',
  parse(text) {
    if (text.trim() === '') return { value: new Map() }
    const options = entry.exec(text)?.[1]
    if (options === undefined) return wrong('this is not `MODULE required NAME="VALUE" ...;`')
    const pairs = [...options.matchAll(option)].map(([, name = '', quoted, plain = '']): [string, string] => [
      name,
      quoted?.replaceAll(/\\(.)/g, '$1') ?? plain,
    ])
    return { value: new Map(pairs) }
  },
  format: formatJaas,
  formatPlain: formatJaas,
}

function formatJaas(options: JaasOptions): string {
  if (options.size === 0) return ''
  const words = [...options].map(([name, value]) => `${name}="${value.replaceAll(/["\\]/g, '\\$&')}"`)
  return `LoginModule required ${words.join(' ')};`
}
