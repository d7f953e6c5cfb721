import type { FetchedRecord } from '../client/partition-reader.ts'
import { decodeValue, plain } from './decode-value.ts'

/** The last moment that has a date. */
const lastDateMs = 8.64e15
// what a device sends must not command the terminal
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controlCharacters = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/

/** A record as a line: time, partition and offset, key, value. JSON and text as they are, CBOR as JSON, the rest as base64. */
export const plainLine = (record: FetchedRecord): string => {
  const { partition, offset } = record
  const key = record.key === null ? '-' : shown(record.key)
  const value = record.value === null ? 'null' : shown(record.value)
  return `${timeText(record.timestampMs)} ${partition}/${offset} ${key} ${value}`
}

/** A record as a line of JSON. A value that is JSON stands there digit for digit: numbers are not rounded. */
export const jsonLine = (record: FetchedRecord): string => {
  const { topic, partition, offset, timestampMs } = record
  const known = {
    topic,
    partition,
    offset,
    time: timeText(timestampMs),
    key: textOrBase64(record.key),
    headers: headersOf(record),
  }
  return `${JSON.stringify(known).slice(0, -1)},"value":${jsonValue(record.value)}}`
}

const shown = (bytes: Buffer): string => {
  const text = textOf(bytes)
  if (text !== undefined && !controlCharacters.test(text)) return text
  return jsonValue(bytes)
}

const jsonValue = (bytes: Buffer | null): string => {
  if (bytes === null) return 'null'
  const text = textOf(bytes)
  if (text !== undefined) return jsonOf(text) ?? JSON.stringify(text)
  return JSON.stringify(decodeValue(bytes), plain) ?? 'null'
}

/** The text in one line, if it is JSON: line ends can only stand between its tokens. */
const jsonOf = (text: string): string | undefined => {
  try {
    JSON.parse(text)
    return text.replaceAll(/[\r\n]+/g, ' ').trim()
  } catch {
    return undefined
  }
}

const textOf = (bytes: Buffer): string | undefined => {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : undefined
}

const textOrBase64 = (bytes: Buffer | null): string | { readonly base64: string } | null =>
  bytes === null ? null : (textOf(bytes) ?? { base64: bytes.toString('base64') })

/** By name; a name that is there more than once has a list. */
const headersOf = ({ headers }: FetchedRecord): Record<string, unknown> => {
  const byName = new Map<string, unknown[]>()
  for (const { key, value } of headers) {
    const values = byName.get(key)
    if (values === undefined) byName.set(key, [textOrBase64(value)])
    else values.push(textOrBase64(value))
  }
  return Object.fromEntries([...byName].map(([name, values]) => [name, values.length === 1 ? values[0] : values]))
}

/** Clocks of producers say anything. */
const timeText = (timestampMs: number): string =>
  timestampMs < 0 ? '-' : timestampMs > lastDateMs ? String(timestampMs) : new Date(timestampMs).toISOString()
