import { ByteReader } from '../../core/byte-reader.ts'
import type { ByteWriter } from '../../core/byte-writer.ts'
import { UnencodableField } from './field.ts'

/** Stands before every request. Version 2 of it (flexible APIs) adds a tag buffer, and no compact string. */
export interface RequestHeader {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
}

/** The part of a request header that has the same place in all versions; enough to find the contract. */
export function peekRequestHeader(frame: Buffer): Omit<RequestHeader, 'clientId'> {
  const reader = new ByteReader(frame, 'RequestHeader')
  return { apiKey: reader.int16(), apiVersion: reader.int16(), correlationId: reader.int32() }
}

export function readRequestHeader(reader: ByteReader, flexible: boolean): RequestHeader {
  const apiKey = reader.int16()
  const apiVersion = reader.int16()
  const correlationId = reader.int32()
  const byteCount = reader.int16()
  if (byteCount < -1) reader.fail(`client id of length ${byteCount}`)
  const clientId = byteCount < 0 ? null : reader.text(byteCount)
  if (flexible) skipTags(reader)
  return { apiKey, apiVersion, correlationId, clientId }
}

export function writeRequestHeader(writer: ByteWriter, header: RequestHeader, flexible: boolean): void {
  const { apiKey, apiVersion, correlationId, clientId } = header
  writer.int16(apiKey)
  writer.int16(apiVersion)
  writer.int32(correlationId)
  const byteCount = clientId === null ? -1 : Buffer.byteLength(clientId)
  if (byteCount > 0x7fff) throw new UnencodableField('RequestHeader.clientId', 'longer than 32767 bytes')
  writer.int16(byteCount)
  if (clientId !== null) writer.text(clientId, byteCount)
  if (flexible) writer.unsignedVarint(0)
}

/** Returns the correlation id. */
export function readResponseHeader(reader: ByteReader, flexible: boolean): number {
  const correlationId = reader.int32()
  if (flexible) skipTags(reader)
  return correlationId
}

export function writeResponseHeader(writer: ByteWriter, correlationId: number, flexible: boolean): void {
  writer.int32(correlationId)
  if (flexible) writer.unsignedVarint(0)
}

/** Headers have no tagged fields that we know. */
function skipTags(reader: ByteReader): void {
  const count = reader.unsignedVarint()
  for (let index = 0; index < count; index++) {
    reader.unsignedVarint()
    reader.take(reader.unsignedVarint())
  }
}
