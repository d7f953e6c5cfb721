import type { Codec } from './codec.ts'
import { lz4ContentBytes } from './lz4-content.ts'

// loaded at first use: a native library costs memory from its load on
const library = () => import('lz4-napi')

/** LZ4 frames, https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. */
export const lz4: Codec = {
  compress: async bytes => (await library()).compressFrameSync(bytes),

  // The library has no limit of its own, so what would come out is counted first.
  decompress: async (bytes, maxBytes) => {
    lz4ContentBytes(bytes, maxBytes)
    return (await library()).decompressFrameSync(bytes)
  },
}
