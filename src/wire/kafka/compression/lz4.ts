import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import type { Codec } from './codec.ts'
import { lz4ContentBytes } from './lz4-content.ts'

/** LZ4 frames, https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. */
export const lz4: Codec = {
  compress: bytes => compressFrameSync(bytes),

  // The library has no limit of its own, so what would come out is counted first.
  decompress: (bytes, maxBytes) => {
    lz4ContentBytes(bytes, maxBytes)
    return decompressFrameSync(bytes)
  },
}
