// Turns Kafka's message definitions into the compact digest that the contract test compares with.
// Run: KAFKA_PROTOCOL_DIR=folder node test/support/kafka-shapes.mjs   (writes the digest)
// A line per field: indent by depth, then "name type versions [null:versions] [=default] [tag:n] [ignorable]". Versions
// are clipped to what the API has, so that "0+" and "3-13" of the same field read the same.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(fileURLToPath(import.meta.url), '../../..')
const digestFile = join(root, 'test/unit/wire/kafka/official-shapes.digest.json')

/** Where the definitions are, or undefined: they are not part of the repository. */
export function protocolFolder() {
  const folder = process.env['KAFKA_PROTOCOL_DIR'] ?? resolve(root, '../shared/kafka-protocol')
  return existsSync(join(folder, 'ProduceRequest.json')) ? folder : undefined
}

/** The digest of every client-facing API: { key, name, versions, flexible, request, response } by name. */
export function digestOf(folder) {
  const digest = {}
  const names = readdirSync(folder).filter(name => name.endsWith('Request.json'))
  for (const name of names.map(file => file.slice(0, -'Request.json'.length)).sort()) {
    const request = readDefinition(join(folder, `${name}Request.json`))
    const response = readDefinition(join(folder, `${name}Response.json`))
    if (request.validVersions === 'none') continue
    digest[name] = apiDigest(request, response)
  }
  return digest
}

function apiDigest(request, response) {
  const [least, most] = rangeOf(request.validVersions, [0, Number.POSITIVE_INFINITY])
  // A version that Kafka itself calls unstable is not served unless it is told to.
  const versions = [least, request.latestVersionUnstable ? most - 1 : most]
  const flexible = rangeOf(request.flexibleVersions, [0, Number.POSITIVE_INFINITY])?.[0] ?? null
  const lines = definition => fieldLines(definition.fields, versions, structsOf(definition), 0)
  return { key: request.apiKey, versions, flexible, request: lines(request), response: lines(response) }
}

function structsOf(definition) {
  return new Map((definition.commonStructs ?? []).map(struct => [struct.name, struct.fields]))
}

function fieldLines(fields, parent, structs, depth) {
  return fields.flatMap(field => {
    const versions = rangeOf(field.versions, parent)
    if (versions === undefined) return []
    const element = field.type.replace('[]', '')
    const members = field.fields ?? structs.get(element)
    const type = members === undefined ? field.type : field.type.replace(element, 'struct')
    const words = [camelCase(field.name), type, versions.join('-'), ...attributes(field, type, versions)]
    return [`${'  '.repeat(depth)}${words.join(' ')}`, ...fieldLines(members ?? [], versions, structs, depth + 1)]
  })
}

function attributes(field, type, versions) {
  const nullable = rangeOf(field.nullableVersions, versions)
  const byDefault = defaultText(field.default, type)
  return [
    ...(nullable === undefined ? [] : [`null:${nullable.join('-')}`]),
    ...(byDefault === undefined ? [] : [`=${byDefault}`]),
    ...(field.tag === undefined ? [] : [`tag:${field.tag}`, ...taggedRange(field, versions)]),
    ...(field.ignorable === true ? ['ignorable'] : []),
  ]
}

/** Nothing when the field is tagged in all of its versions. */
function taggedRange(field, versions) {
  const tagged = rangeOf(field.taggedVersions, versions)?.join('-')
  return tagged === versions.join('-') ? [] : [`tagged:${tagged}`]
}

/** Undefined for the default that the type has anyway. */
function defaultText(value, type) {
  if (value === undefined) return undefined
  const text = /^(u?int\d+|float64)$/.test(type) && value !== 'null' ? String(BigInt(value)) : String(value)
  return ['0', 'false', ''].includes(text) ? undefined : text
}

/** "3+", "0-12", "2", "none" clipped to `parent`; undefined when nothing is left. */
function rangeOf(text, parent) {
  if (text === undefined || text === 'none') return undefined
  const [, first, plus, , last] = /^(\d+)(\+?)(-(\d+))?$/.exec(text)
  const end = plus === '+' ? Number.POSITIVE_INFINITY : Number(last ?? first)
  const range = [Math.max(Number(first), parent[0]), Math.min(end, parent[1])]
  return range[0] <= range[1] ? range : undefined
}

function camelCase(name) {
  return name[0].toLowerCase() + name.slice(1)
}

/** JSON with `//` comments; strings may hold slashes. */
function readDefinition(file) {
  const text = readFileSync(file, 'utf8')
  return JSON.parse(text.replace(/("(?:[^"\\]|\\.)*")|\/\/.*$/gm, (_match, quoted) => quoted ?? ''))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = protocolFolder()
  if (folder === undefined) throw new Error('set KAFKA_PROTOCOL_DIR to a folder of Kafka message definitions')
  writeFileSync(digestFile, `${JSON.stringify(digestOf(folder), null, 1)}\n`)
}
