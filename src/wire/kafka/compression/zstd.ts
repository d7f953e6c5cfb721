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
        decompress: (bytes, maxBytes) =>
          decompressFrames(bytes, maxBytes, (frame, room) =>
            zstdDecompressSync(frame.bytes, { maxOutputLength: Math.max(1, room) }),
          ),
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

  // The library allocates the size that a frame states, or a size given for frames that state none: both are bounded.
  decompress: async (bytes, maxBytes) => {
    assert(maxBytes <= WASM_MAX_BYTES && bytes.length <= WASM_MAX_BYTES, 'zstd sizes stay within the WASM memory')
    const { decompress } = await zstdWasm()
    return decompressFrames(bytes, maxBytes, (frame, room) =>
      asBuffer(decompress(frame.bytes, { defaultHeapSize: Math.min(frame.mostBlockBytes, room) })),
    )
  },
}

export const zstd: Codec = zstdOfNode ?? zstdOfWasm

/** Frame by frame, because both libraries look at the first one only (Node yields it alone). */
function decompressFrames(
  bytes: Buffer,
  maxBytes: number,
  decompressFrame: (frame: ZstdFrame, room: number) => Buffer,
): Buffer {
  const contents: Buffer[] = []
  let room = maxBytes
  for (const frame of zstdFrames(bytes)) {
    if (frame.contentBytes !== undefined && frame.contentBytes > room) {
      throw new MalformedFrame('compression.zstd', `${frame.contentBytes} bytes, ${room} left to fill`)
    }
    const content = decompressFrame(frame, room)
    room -= content.length
    contents.push(content)
  }
  return contents.length === 1 ? contents[0]! : Buffer.concat(contents)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
