import { MalformedFrame } from '../../../core/malformed-frame.ts'
import type { Codec } from './codec.ts'
import { gzip } from './gzip.ts'
import { lz4 } from './lz4.ts'
import { snappy } from './snappy.ts'
import { zstd } from './zstd.ts'

const none: Codec = { compress: bytes => bytes, decompress: limited }

/** By the id in a batch's attributes. */
const CODECS = [none, gzip, snappy, lz4, zstd] as const
const NAMES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** The values of Kafka's `compression.type`, `producer` and `uncompressed` apart. */
export type CodecName = (typeof NAMES)[number]

export function codecId(name: CodecName): number {
  return NAMES.indexOf(name)
}

/** Undefined for the ids 5 to 7, which have no codec. */
export function codecName(id: number): CodecName | undefined {
  return NAMES[id]
}

export async function compress(name: CodecName, bytes: Buffer): Promise<Buffer> {
  return await CODECS[codecId(name)]!.compress(bytes)
}

/**
 * Undoes the codec with this id. Throws MalformedFrame when there is no such codec, the bytes are not its own, or more
 * than `maxBytes` would come out. Runs on the calling thread: large batches belong in a worker.
 */
export async function decompress(id: number, bytes: Buffer, maxBytes: number): Promise<Buffer> {
  const codec = CODECS[id]
  if (codec === undefined) throw new MalformedFrame('compression', `unknown codec ${id}`)
  try {
    return limited(await codec.decompress(bytes, maxBytes), maxBytes)
  } catch (error) {
    if (error instanceof MalformedFrame) throw error
    throw new MalformedFrame(`compression.${NAMES[id]}`, error instanceof Error ? error.message : String(error))
  }
}

function limited(bytes: Buffer, maxBytes: number): Buffer {
  if (bytes.length > maxBytes) throw new MalformedFrame('compression', `more than ${maxBytes} bytes`)
  return bytes
}
