import * as zlib from 'node:zlib'
import { assert } from '../../../core/assert.ts'
import { MalformedFrame } from '../../../core/malformed-frame.ts'
import type { Codec } from './codec.ts'
import { type ZstdFrame, zstdFrames } from './zstd-frames.ts'

type Transform = (bytes: Uint8Array, options?: { readonly maxOutputLength: number }) => Buffer

/** Node has zstd from 22.15 and 23.8 on; before that the WebAssembly build stands in. */
const { zstdCompressSync, zstdDecompressSync } = zlib as unknown as {
  readonly zstdCompressSync?: Transform
  readonly zstdDecompressSync?: Transform
}

export const zstdOfNode: Codec | undefined =
  zstdCompressSync === undefined || zstdDecompressSync === undefined
    ? undefined
    : {
        compress: bytes => zstdCompressSync(bytes),
        decompress: (bytes, maxBytes) => zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, maxBytes) }),
      }

type ZstdWasm = typeof import('@bokuweb/zstd-wasm')

let loading: Promise<ZstdWasm> | undefined

/** The module compiles once, at first use. */
function zstdWasm(): Promise<ZstdWasm> {
  loading ??= import('@bokuweb/zstd-wasm').then(async library => {
    await library.init()
    return library
  })
  return loading
}

/** What one call into the module may allocate; far from where its allocator would fail. */
const WASM_MAX_BYTES = 512 * 1024 * 1024

export const zstdOfWasm: Codec = {
  compress: async bytes => asBuffer((await zstdWasm()).compress(bytes)),

  // The library allocates the size that a frame states, or a size given for frames that state none: both are checked
  // first, frame by frame, because it would look at the first frame only.
  decompress: async (bytes, maxBytes) => {
    assert(maxBytes <= WASM_MAX_BYTES && bytes.length <= WASM_MAX_BYTES, 'zstd sizes stay within the WASM memory')
    const { decompress } = await zstdWasm()
    const contents: Buffer[] = []
    let room = maxBytes
    for (const frame of zstdFrames(bytes)) {
      const content = asBuffer(decompress(frame.bytes, { defaultHeapSize: contentBound(frame, room) }))
      room -= content.length
      contents.push(content)
    }
    return contents.length === 1 ? contents[0]! : Buffer.concat(contents)
  },
}

export const zstd: Codec = zstdOfNode ?? zstdOfWasm

/** What to let the library allocate for a frame, at most `room` bytes. */
function contentBound({ contentBytes, mostBlockBytes }: ZstdFrame, room: number): number {
  if (contentBytes !== undefined && contentBytes > room) {
    throw new MalformedFrame('compression.zstd', `more than ${room} bytes left to fill`)
  }
  return contentBytes ?? Math.min(mostBlockBytes, room)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
