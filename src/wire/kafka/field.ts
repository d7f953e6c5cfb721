import type { ByteReader } from '../../core/byte-reader.ts'
import type { ByteWriter } from '../../core/byte-writer.ts'

/** The type names of Kafka's message definitions. `int64Big` is an int64 decoded to a bigint. */
export type FieldType =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'int64'
  | 'int64Big'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'records'
  | 'array'
  | 'struct'

/** When a field exists, and what stands for it when it does not. Versions are those of the API. */
export interface FieldOptions<Value = unknown> {
  /** First version that has the field. */
  readonly since?: number
  /** Last version that has the field. */
  readonly until?: number
  /** First version in which null is legal; for nullable types only, by default every version. */
  readonly nullableSince?: number
  /** The value in versions without the field. Without it: zero, empty, false; never null. */
  readonly default?: Value
  /** The field travels in the tag buffer, and only when it differs from its default. */
  readonly tagged?: { readonly tag: number; readonly since: number }
  /** A value other than the default may be dropped silently where the version lacks the field. */
  readonly ignorable?: boolean
}

/** What a field needs to know of its surroundings when it is compiled. */
export interface CodecContext {
  readonly version: number
  readonly flexible: boolean
  readonly path: string
}

/** A field at one version. `read` throws MalformedFrame, `write` UnencodableField. */
export interface Codec {
  readonly read: (reader: ByteReader) => unknown
  readonly write: (writer: ByteWriter, value: unknown) => void
  /** The fewest bytes that a value takes on the wire; bounds array counts. */
  readonly minBytes: number
}

/** One field of a contract: plain data for tests and tools, and the way to its codec. */
export interface Field<Value, Input, Options> {
  readonly type: FieldType
  readonly nullable: boolean
  readonly options: Options
  /** Of an array. */
  readonly element?: AnyField
  /** Of a struct. */
  readonly shape?: Shape
  /** The default where `options` name none. Mutable values are fresh at each call. */
  readonly zero: () => Value
  readonly compile: (context: CodecContext) => Codec
  /** Carries the type of encoder input; never set. */
  readonly input?: Input
}

export type AnyField = Field<unknown, unknown, FieldOptions>

/** The fields of a struct in wire order. Names are Kafka's in camelCase. */
export interface Shape {
  readonly [name: string]: AnyField
}

type ValueOf<F> = F extends { readonly zero: () => infer Value } ? Value : never
type InputOf<F> = F extends { readonly input?: infer Input } ? Exclude<Input, undefined> : never
type Absentable = { default: unknown } | { since: number } | { until: number } | { tagged: object }
type AbsentableNames<S> = {
  [Name in keyof S]: S[Name] extends { readonly options: infer Options }
    ? Options extends Absentable
      ? Name
      : never
    : never
}[keyof S]

/** What decoding yields: every field, those that the version lacks with their default. */
export type Decoded<S extends Shape> = { -readonly [Name in keyof S]: ValueOf<S[Name]> }

/**
 * What encoding takes: fields with `default`, `since`, `until` or `tagged` may be left out and then take their default.
 * A decoded value is always legal input.
 */
export type Input<S extends Shape> = {
  readonly [Name in Exclude<keyof S, AbsentableNames<S>>]: InputOf<S[Name]>
} & {
  readonly [Name in AbsentableNames<S>]?: InputOf<S[Name]> | undefined
}

/** Thrown by encoders: the value cannot be expressed in the version asked for. A bug of the caller, or of its peer. */
export class UnencodableField extends Error {
  override readonly name = 'UnencodableField'
  readonly path: string

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`)
    this.path = path
  }
}

/** Is the field part of `version`? */
export function existsAt(field: AnyField, version: number): boolean {
  const { since = 0, until = Number.POSITIVE_INFINITY, tagged } = field.options
  return version >= Math.max(since, tagged?.since ?? 0) && version <= until
}

/** May the field be null in `version`? */
export function isNullableAt(field: AnyField, version: number): boolean {
  return field.nullable && version >= (field.options.nullableSince ?? 0)
}

/** The value that stands for an absent field. Mutable values are fresh at each call. */
export function defaultOf(field: AnyField): unknown {
  return 'default' in field.options ? field.options.default : field.zero()
}

/** Does `value` say no more than the field's absence would? */
export function isDefault(field: AnyField, value: unknown): boolean {
  if (value === undefined) return true
  const expected = defaultOf(field)
  if (value === expected) return true
  if (value === null || expected === null) return false
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0
  if (field.shape === undefined) return false
  const struct = value as Readonly<Record<string, unknown>>
  return Object.entries(field.shape).every(([name, member]) => isDefault(member, struct[name]))
}
