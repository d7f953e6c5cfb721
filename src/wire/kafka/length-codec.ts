import type { ByteReader } from '../../core/byte-reader.ts'
import type { ByteWriter } from '../../core/byte-writer.ts'
import { type CodecContext, UnencodableField } from './field.ts'

/** The length in front of strings, bytes and arrays. -1 stands for null. */
export interface LengthCodec {
  /** Never below 0 unless null is legal; not yet checked against the bytes that remain. */
  readonly read: (reader: ByteReader) => number
  readonly write: (writer: ByteWriter, length: number) => void
  readonly minBytes: number
}

/** Flexible versions use an unsigned varint of length + 1; older ones `width`, both with a code for null. */
export function lengthCodec(context: CodecContext, width: 'int16' | 'int32', isNullable: boolean): LengthCodec {
  const codec = context.flexible ? COMPACT : width === 'int16' ? INT16 : INT32
  return isNullable ? codec : refuseNull(codec, context.path)
}

const COMPACT: LengthCodec = {
  minBytes: 1,
  read: reader => reader.unsignedVarint() - 1,
  write: (writer, length) => writer.unsignedVarint(length + 1),
}

const INT16: LengthCodec = {
  minBytes: 2,
  read: reader => checkNull(reader, reader.int16()),
  write: (writer, length) => writer.int16(length),
}

const INT32: LengthCodec = {
  minBytes: 4,
  read: reader => checkNull(reader, reader.int32()),
  write: (writer, length) => writer.int32(length),
}

function checkNull(reader: ByteReader, length: number): number {
  return length < -1 ? reader.fail(`negative length ${length}`) : length
}

function refuseNull(codec: LengthCodec, path: string): LengthCodec {
  return {
    minBytes: codec.minBytes,
    read: reader => {
      const length = codec.read(reader)
      return length < 0 ? reader.fail('null is not allowed') : length
    },
    write: (writer, length) => {
      if (length < 0) throw new UnencodableField(path, 'null is not allowed in this version')
      codec.write(writer, length)
    },
  }
}
