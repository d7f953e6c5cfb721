import type { ByteReader } from '../../core/byte-reader.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import {
  type AnyField,
  type Codec,
  type CodecContext,
  defaultOf,
  existsAt,
  isDefault,
  type Shape,
  UnencodableField,
} from './field.ts'

type Struct = Record<string, unknown>

interface Step {
  readonly name: string
  readonly path: string
  readonly field: AnyField
  readonly codec: Codec
}

interface TaggedStep extends Step {
  readonly tag: number
}

/** The struct that stands for an absent one. */
export function defaultStruct(shape: Shape): Struct {
  const struct: Struct = {}
  for (const name of Object.keys(shape)) struct[name] = defaultOf(shape[name]!)
  return struct
}

/** A struct at one version: its fields in order as a flat list, then the tag buffer if the version is flexible. */
export function compileStruct(shape: Shape, context: CodecContext): Codec {
  const { version, flexible } = context
  const names = Object.keys(shape)
  const present = names.filter(name => existsAt(shape[name]!, version))
  const steps = present
    .filter(name => shape[name]!.options.tagged === undefined)
    .map(name => step(shape, name, context))
  const tagged = present.filter(name => shape[name]!.options.tagged !== undefined)
  const tags = flexible ? tagged.map(name => taggedStep(shape, name, context)).sort((a, b) => a.tag - b.tag) : []
  const refused = names.filter(name => !existsAt(shape[name]!, version) && shape[name]!.options.ignorable !== true)
  const absent = new Absence(shape, names, new Set(steps.map(({ name }) => name)))
  return {
    minBytes: steps.reduce((sum, { codec }) => sum + codec.minBytes, flexible ? 1 : 0),
    read: reader => {
      const struct = absent.fill()
      for (let index = 0; index < steps.length; index++) {
        const { name, path, codec } = steps[index]!
        reader.path = path
        struct[name] = codec.read(reader)
      }
      if (flexible) readTags(reader, struct, tags, context.path)
      return struct
    },
    write: (writer, value) => {
      if (typeof value !== 'object' || value === null) throw new UnencodableField(context.path, 'object expected')
      const struct = value as Readonly<Struct>
      if (refused.length > 0) refuseAbsent(shape, refused, struct, context)
      for (let index = 0; index < steps.length; index++) {
        const { name, field, codec } = steps[index]!
        const member = struct[name]
        codec.write(writer, member === undefined ? defaultOf(field) : member)
      }
      if (flexible) writeTags(writer, struct, tags)
    },
  }
}

function step(shape: Shape, name: string, context: CodecContext): Step {
  const field = shape[name]!
  const path = `${context.path}.${name}`
  return { name, path, field, codec: field.compile({ ...context, path }) }
}

function taggedStep(shape: Shape, name: string, context: CodecContext): TaggedStep {
  return { ...step(shape, name, context), tag: shape[name]!.options.tagged!.tag }
}

/** Makes structs with all names in one order (one hidden class), filled with the defaults of what will not be read. */
class Absence {
  private readonly template: Struct = {}
  private readonly mutable: { readonly name: string; readonly field: AnyField }[] = []

  constructor(shape: Shape, names: readonly string[], read: ReadonlySet<string>) {
    for (const name of names) {
      const field = shape[name]!
      const value = read.has(name) ? undefined : defaultOf(field)
      this.template[name] = value
      if (typeof value === 'object' && value !== null) this.mutable.push({ name, field })
    }
  }

  fill(): Struct {
    const struct = { ...this.template }
    for (let index = 0; index < this.mutable.length; index++) {
      const { name, field } = this.mutable[index]!
      struct[name] = defaultOf(field)
    }
    return struct
  }
}

function readTags(reader: ByteReader, struct: Struct, tags: readonly TaggedStep[], path: string): void {
  reader.path = path
  const count = reader.unsignedVarint()
  let previous = -1
  for (let index = 0; index < count; index++) {
    reader.path = path
    const tag = reader.unsignedVarint()
    if (tag <= previous) reader.fail(`tag ${tag} after tag ${previous}`)
    previous = tag
    const byteCount = reader.unsignedVarint()
    const known = tags.find(candidate => candidate.tag === tag)
    if (known === undefined) reader.take(byteCount)
    else struct[known.name] = readTagged(reader, known, byteCount)
  }
}

function readTagged(reader: ByteReader, known: TaggedStep, byteCount: number): unknown {
  reader.path = known.path
  if (byteCount > reader.remaining) reader.fail('tagged field longer than the frame')
  const outerEnd = reader.end
  reader.end = reader.position + byteCount
  const value = known.codec.read(reader)
  if (reader.remaining > 0) reader.fail(`${reader.remaining} bytes left over in a tagged field`)
  reader.end = outerEnd
  return value
}

function writeTags(writer: ByteWriter, struct: Readonly<Struct>, tags: readonly TaggedStep[]): void {
  let count = 0
  for (const { name, field } of tags) if (!isDefault(field, struct[name])) count++
  writer.unsignedVarint(count)
  if (count > 0) writeChangedTags(writer, struct, tags)
}

function writeChangedTags(writer: ByteWriter, struct: Readonly<Struct>, tags: readonly TaggedStep[]): void {
  const changed = tags.filter(({ name, field }) => !isDefault(field, struct[name]))
  for (const { tag, name, codec } of changed) {
    const content = new ByteWriter()
    codec.write(content, struct[name])
    writer.unsignedVarint(tag)
    writer.unsignedVarint(content.length)
    for (const chunk of content.finish()) writer.bytes(chunk)
  }
}

function refuseAbsent(shape: Shape, names: readonly string[], struct: Readonly<Struct>, context: CodecContext): void {
  for (const name of names) {
    if (isDefault(shape[name]!, struct[name])) continue
    throw new UnencodableField(`${context.path}.${name}`, `not part of version ${context.version}`)
  }
}
