/**
 * The vocabulary of contracts: scalar fields here, composite ones in fields-composite.ts. Whether lengths are compact
 * (flexible versions, KIP-482) is decided when a field is compiled for a version; a contract never says it.
 */
import type { ByteReader } from '../../core/byte-reader.ts'
import type { ByteWriter } from '../../core/byte-writer.ts'
import { type Uuid, ZERO_UUID } from '../../core/uuid.ts'
import {
  type Codec,
  type CodecContext,
  type Field,
  type FieldOptions,
  type FieldType,
  UnencodableField,
} from './field.ts'
import { lengthCodec } from './length-codec.ts'

export { array, nullableArray, nullableStruct, struct } from './fields-composite.ts'

type NoOptions = Record<never, never>
type Scalar<Value, Options, Written = Value> = Field<Value, Written, Options>
type RecordsInput = Uint8Array | readonly Uint8Array[] | null

const NO_BYTES = Buffer.alloc(0)

/** One byte, 0 or 1; any other byte reads as true, as in Kafka. */
export function boolean<const O extends FieldOptions<boolean> = NoOptions>(options?: O): Scalar<boolean, O> {
  return scalar('bool', false, options, () => ({
    minBytes: 1,
    read: reader => reader.int8() !== 0,
    write: (writer, value) => writer.int8(value === true ? 1 : 0),
  }))
}

export function int8<const O extends FieldOptions<number> = NoOptions>(options?: O): Scalar<number, O> {
  return integer(
    'int8',
    1,
    -0x80,
    0x7f,
    reader => reader.int8(),
    (writer, value) => writer.int8(value),
    options,
  )
}

export function int16<const O extends FieldOptions<number> = NoOptions>(options?: O): Scalar<number, O> {
  return integer(
    'int16',
    2,
    -0x8000,
    0x7fff,
    reader => reader.int16(),
    (writer, value) => writer.int16(value),
    options,
  )
}

export function uint16<const O extends FieldOptions<number> = NoOptions>(options?: O): Scalar<number, O> {
  return integer(
    'uint16',
    2,
    0,
    0xffff,
    reader => reader.uint16(),
    (writer, value) => writer.int16(value),
    options,
  )
}

export function int32<const O extends FieldOptions<number> = NoOptions>(options?: O): Scalar<number, O> {
  const [least, most] = [-0x80000000, 0x7fffffff]
  return integer(
    'int32',
    4,
    least,
    most,
    reader => reader.int32(),
    (writer, value) => writer.int32(value),
    options,
  )
}

/** 64 bits as a JS number, for offsets, timestamps and ids; malformed outside the safe integers. */
export function int64<const O extends FieldOptions<number> = NoOptions>(options?: O): Scalar<number, O> {
  const [least, most] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  return integer(
    'int64',
    8,
    least,
    most,
    reader => reader.int64(),
    (writer, value) => writer.int64(value),
    options,
  )
}

/** 64 bits as a bigint, for the few fields that use all of them. */
export function int64Big<const O extends FieldOptions<bigint> = NoOptions>(options?: O): Scalar<bigint, O> {
  return scalar('int64Big', 0n, options, ({ path }) => ({
    minBytes: 8,
    read: reader => reader.int64Big(),
    write: (writer, value) => {
      if (typeof value !== 'bigint') throw new UnencodableField(path, 'bigint expected')
      writer.int64Big(BigInt.asIntN(64, value))
    },
  }))
}

export function float64<const O extends FieldOptions<number> = NoOptions>(options?: O): Scalar<number, O> {
  return scalar('float64', 0, options, () => ({
    minBytes: 8,
    read: reader => reader.float64(),
    write: (writer, value) => writer.float64(value as number),
  }))
}

export function uuid<const O extends FieldOptions<Uuid> = NoOptions>(options?: O): Scalar<Uuid, O> {
  return scalar('uuid', ZERO_UUID, options, ({ path }) => ({
    minBytes: 16,
    read: reader => reader.hex(16),
    write: (writer, value) => {
      if (typeof value !== 'string' || value.length !== 32) throw new UnencodableField(path, 'uuid expected')
      writer.hex(value)
    },
  }))
}

/** Text of at most 32767 UTF-8 bytes. */
export function string<const O extends FieldOptions<string> = NoOptions>(options?: O): Scalar<string, O> {
  return scalar('string', '', options, context => stringCodec(context, false))
}

export function nullableString<const O extends FieldOptions<string | null> = NoOptions>(
  options?: O,
): Scalar<string | null, O> {
  return nullable('string', '', options, stringCodec)
}

/** Bytes; decoded to a slice of the frame. */
export function bytes<const O extends FieldOptions<Buffer> = NoOptions>(options?: O): Scalar<Buffer, O, Uint8Array> {
  return scalar<Buffer, O, Uint8Array>('bytes', NO_BYTES, options, context => bytesCodec(context, false))
}

export function nullableBytes<const O extends FieldOptions<Buffer | null> = NoOptions>(
  options?: O,
): Scalar<Buffer | null, O, Uint8Array | null> {
  return nullable<Buffer | null, O, Uint8Array | null>('bytes', NO_BYTES, options, bytesCodec)
}

/** Record batches; decoded to a slice of the frame, encoded from one buffer or several, which are not copied. */
export function records<const O extends FieldOptions<Buffer | null> = NoOptions>(
  options?: O,
): Scalar<Buffer | null, O, RecordsInput> {
  return nullable<Buffer | null, O, RecordsInput>('records', NO_BYTES, options, bytesCodec)
}

function scalar<Value, O, Written = Value>(
  type: FieldType,
  zero: Value,
  options: O | undefined,
  compile: (context: CodecContext) => Codec,
): Scalar<Value, O, Written> {
  return { type, nullable: false, options: options ?? ({} as O), zero: () => zero, compile }
}

function nullable<Value, O extends FieldOptions, Written = Value>(
  type: FieldType,
  zero: Value,
  options: O | undefined,
  codec: (context: CodecContext, nullable: boolean) => Codec,
): Scalar<Value, O, Written> {
  const since = options?.nullableSince ?? 0
  const field = scalar<Value, O, Written>(type, zero, options, context => codec(context, context.version >= since))
  return { ...field, nullable: true }
}

function integer<O>(
  type: FieldType,
  byteCount: number,
  least: number,
  most: number,
  read: (reader: ByteReader) => number,
  store: (writer: ByteWriter, value: number) => void,
  options: O | undefined,
): Scalar<number, O> {
  return scalar(type, 0, options, ({ path }) => ({
    minBytes: byteCount,
    read,
    write: (writer, value) => {
      const fits = Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      if (!fits) throw new UnencodableField(path, `${type} expected, got ${String(value)}`)
      store(writer, value as number)
    },
  }))
}

function stringCodec(context: CodecContext, isNullable: boolean): Codec {
  const length = lengthCodec(context, 'int16', isNullable)
  return {
    minBytes: length.minBytes,
    read: reader => {
      const byteCount = length.read(reader)
      if (byteCount > 0x7fff) reader.fail('string longer than 32767 bytes')
      return byteCount < 0 ? null : reader.text(byteCount)
    },
    write: (writer, value) => {
      if (value === null) return length.write(writer, -1)
      if (typeof value !== 'string') throw new UnencodableField(context.path, 'string expected')
      const byteCount = Buffer.byteLength(value)
      if (byteCount > 0x7fff) throw new UnencodableField(context.path, 'string longer than 32767 bytes')
      length.write(writer, byteCount)
      writer.text(value, byteCount)
    },
  }
}

function bytesCodec(context: CodecContext, isNullable: boolean): Codec {
  const length = lengthCodec(context, 'int32', isNullable)
  return {
    minBytes: length.minBytes,
    read: reader => {
      const byteCount = length.read(reader)
      return byteCount < 0 ? null : reader.slice(byteCount)
    },
    write: (writer, value) => {
      if (value === null) return length.write(writer, -1)
      if (value instanceof Uint8Array) {
        length.write(writer, value.length)
        return writer.bytes(value)
      }
      if (!Array.isArray(value)) throw new UnencodableField(context.path, 'bytes expected')
      let byteCount = 0
      for (const part of value as Uint8Array[]) byteCount += part.length
      length.write(writer, byteCount)
      for (const part of value as Uint8Array[]) writer.bytes(part)
    },
  }
}
