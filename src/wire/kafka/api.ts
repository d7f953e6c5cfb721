import { assert } from '../../core/assert.ts'
import { ByteReader } from '../../core/byte-reader.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Codec, Decoded, Input, Shape } from './field.ts'
import {
  peekRequestHeader,
  type RequestHeader,
  readRequestHeader,
  readResponseHeader,
  writeRequestHeader,
  writeResponseHeader,
} from './header.ts'
import { compileStruct } from './struct-codec.ts'

/** A contract: everything the wire needs to know of one API, over all its versions. */
export interface ApiDefinition<Request extends Shape, Response extends Shape> {
  readonly key: number
  readonly name: string
  /** First and last version that can be decoded and encoded. */
  readonly versions: readonly [number, number]
  /** What ApiVersions must claim as the first version, where that differs (Produce, KAFKA-18659). */
  readonly advertisedMin?: number
  /** First flexible version (KIP-482); left out when there is none. */
  readonly flexible?: number
  readonly request: Request
  readonly response: Response
}

type Direction = 'request' | 'response'

export interface Api<Request extends Shape, Response extends Shape> extends ApiDefinition<Request, Response> {
  readonly advertisedMin: number
  /** Infinity when there is none. */
  readonly flexible: number
  /** Filled at first use, by version. */
  readonly compiled: Readonly<Record<Direction, Codec[]>>
}

export type AnyApi = Api<Shape, Shape>

type RequestShape<A> = A extends { readonly request: infer S extends Shape } ? S : never
type ResponseShape<A> = A extends { readonly response: infer S extends Shape } ? S : never

/** A decoded request: every field is there. */
export type RequestOf<A> = Decoded<RequestShape<A>>
/** A decoded response: every field is there. */
export type ResponseOf<A> = Decoded<ResponseShape<A>>
/** What `encodeRequest` takes: fields with a default or a version range may be left out. */
export type RequestInputOf<A> = Input<RequestShape<A>>
/** What `encodeResponse` takes and a handler returns: fields with a default or a version range may be left out. */
export type ResponseInputOf<A> = Input<ResponseShape<A>>

/** Registers a contract. See contracts/ for examples. */
export function defineApi<const Request extends Shape, const Response extends Shape>(
  definition: ApiDefinition<Request, Response>,
): Api<Request, Response> {
  return {
    ...definition,
    advertisedMin: definition.advertisedMin ?? definition.versions[0],
    flexible: definition.flexible ?? Number.POSITIVE_INFINITY,
    compiled: { request: [], response: [] },
  }
}

/** Can `version` of the API be decoded and encoded? (For ApiVersions the router must answer other versions too.) */
export function supportsVersion(api: AnyApi, version: number): boolean {
  return version >= api.versions[0] && version <= api.versions[1]
}

/**
 * Decodes a whole request frame (without its size prefix). The caller has peeked at the header and checked key and
 * version. Throws MalformedFrame when bytes are missing or wrong. Bytes after the body are ignored, as in Kafka: librdkafka 2.12 leaves
 * three of them in Metadata for all topics. Buffers in the body refer to the frame.
 */
export function decodeRequest<A extends AnyApi>(api: A, frame: Buffer): { header: RequestHeader; body: RequestOf<A> } {
  const { apiVersion } = peekRequestHeader(frame)
  const reader = new ByteReader(frame, `${api.name}.request`)
  const codec = codecOf(api, 'request', apiVersion)
  const header = readRequestHeader(reader, apiVersion >= api.flexible)
  assert(header.apiKey === api.key, 'a request is decoded by the contract of its key')
  return { header, body: codec.read(reader) as RequestOf<A> }
}

/** A whole request, size prefix included, as chunks to be written in order. Throws UnencodableField. */
export function encodeRequest<A extends AnyApi>(
  api: A,
  apiVersion: number,
  caller: { readonly correlationId: number; readonly clientId: string | null },
  body: RequestInputOf<A>,
): Buffer[] {
  const writer = startFrame()
  writeRequestHeader(writer, { apiKey: api.key, apiVersion, ...caller }, apiVersion >= api.flexible)
  codecOf(api, 'request', apiVersion).write(writer, body)
  return finishFrame(writer)
}

/** Decodes a whole response frame (without its size prefix). Throws MalformedFrame. Buffers refer to the frame. */
export function decodeResponse<A extends AnyApi>(
  api: A,
  apiVersion: number,
  frame: Buffer,
): { correlationId: number; body: ResponseOf<A> } {
  const reader = new ByteReader(frame, `${api.name}.response`)
  const correlationId = readResponseHeader(reader, hasFlexibleResponseHeader(api, apiVersion))
  const body = codecOf(api, 'response', apiVersion).read(reader)
  if (reader.remaining > 0) reader.fail(`${reader.remaining} bytes left over`)
  return { correlationId, body: body as ResponseOf<A> }
}

/**
 * A whole response, size prefix included, as chunks to be written in order. Large `records` and `bytes` are referred
 * to, not copied, and must stay unchanged until they are written. Throws UnencodableField.
 */
export function encodeResponse<A extends AnyApi>(
  api: A,
  apiVersion: number,
  correlationId: number,
  body: ResponseInputOf<A>,
): Buffer[] {
  const writer = startFrame()
  writeResponseHeader(writer, correlationId, hasFlexibleResponseHeader(api, apiVersion))
  codecOf(api, 'response', apiVersion).write(writer, body)
  return finishFrame(writer)
}

/** ApiVersions answers with the old header whatever its version: the client does not know ours yet (KIP-511). */
const API_VERSIONS_KEY = 18

function hasFlexibleResponseHeader(api: AnyApi, apiVersion: number): boolean {
  return apiVersion >= api.flexible && api.key !== API_VERSIONS_KEY
}

function codecOf(api: AnyApi, direction: Direction, version: number): Codec {
  const known = api.compiled[direction][version]
  if (known !== undefined) return known
  assert(supportsVersion(api, version), `${api.name} has no version ${version}`)
  const path = `${api.name}.${direction}`
  const codec = compileStruct(api[direction], { version, flexible: version >= api.flexible, path })
  api.compiled[direction][version] = codec
  return codec
}

function startFrame(): ByteWriter {
  const writer = new ByteWriter()
  writer.int32(0)
  return writer
}

function finishFrame(writer: ByteWriter): Buffer[] {
  writer.patchFirstInt32(writer.length - 4)
  return writer.finish()
}
