import type { AnyField, Codec, CodecContext, Decoded, Field, FieldOptions, Input, Shape } from './field.ts'
import { isNullableAt, UnencodableField } from './field.ts'
import { lengthCodec } from './length-codec.ts'
import { compileStruct, defaultStruct } from './struct-codec.ts'

type NoOptions = Record<never, never>
type Element<Value, Written> = Field<Value, Written, FieldOptions>

/** Any number of elements, mostly `array(struct({...}))` or `array(int32())`. */
export function array<Value, Written, const O extends FieldOptions<Value[]> = NoOptions>(
  element: Element<Value, Written>,
  options?: O,
): Field<Value[], readonly Written[], O> {
  return arrayField(element, false, options)
}

export function nullableArray<Value, Written, const O extends FieldOptions<Value[] | null> = NoOptions>(
  element: Element<Value, Written>,
  options?: O,
): Field<Value[] | null, readonly Written[] | null, O> {
  return arrayField<Value[] | null, readonly Written[] | null, O>(element as AnyField, true, options)
}

/** A nested struct; with a tag buffer of its own in flexible versions. */
export function struct<const S extends Shape, const O extends FieldOptions<Decoded<S>> = NoOptions>(
  shape: S,
  options?: O,
): Field<Decoded<S>, Input<S>, O> {
  return structField<Decoded<S>, Input<S>, O>(shape, false, options)
}

/** A struct behind one byte: -1 for null, else 1. */
export function nullableStruct<const S extends Shape, const O extends FieldOptions<Decoded<S> | null> = NoOptions>(
  shape: S,
  options?: O,
): Field<Decoded<S> | null, Input<S> | null, O> {
  return structField<Decoded<S> | null, Input<S> | null, O>(shape, true, options)
}

function arrayField<Value, Written, O>(
  element: AnyField,
  nullable: boolean,
  options: O | undefined,
): Field<Value, Written, O> {
  const field: Field<Value, Written, O> = {
    type: 'array',
    nullable,
    element,
    options: options ?? ({} as O),
    zero: () => [] as Value,
    compile: context => arrayCodec(context, element, isNullableAt(field as AnyField, context.version)),
  }
  return field
}

function arrayCodec(context: CodecContext, element: AnyField, isNullable: boolean): Codec {
  const length = lengthCodec(context, 'int32', isNullable)
  const { read, write, minBytes } = element.compile({ ...context, path: `${context.path}[]` })
  return {
    minBytes: length.minBytes,
    read: reader => {
      const count = length.read(reader)
      if (count < 0) return null
      reader.claimElements(count, minBytes)
      const values: unknown[] = []
      for (let index = 0; index < count; index++) values.push(read(reader))
      return values
    },
    write: (writer, value) => {
      if (value === null) return length.write(writer, -1)
      if (!Array.isArray(value)) throw new UnencodableField(context.path, 'array expected')
      length.write(writer, value.length)
      for (let index = 0; index < value.length; index++) write(writer, value[index])
    },
  }
}

function structField<Value, Written, O>(
  shape: Shape,
  nullable: boolean,
  options: O | undefined,
): Field<Value, Written, O> {
  const field: Field<Value, Written, O> = {
    type: 'struct',
    nullable,
    shape,
    options: options ?? ({} as O),
    zero: () => defaultStruct(shape) as Value,
    compile: context => {
      const codec = compileStruct(shape, context)
      return isNullableAt(field as AnyField, context.version) ? nullableCodec(codec) : codec
    },
  }
  return field
}

function nullableCodec(codec: Codec): Codec {
  return {
    minBytes: 1,
    read: reader => {
      const presence = reader.int8()
      if (presence === -1) return null
      return presence === 1 ? codec.read(reader) : reader.fail(`presence byte ${presence}`)
    },
    write: (writer, value) => {
      writer.int8(value === null ? -1 : 1)
      if (value !== null) codec.write(writer, value)
    },
  }
}
