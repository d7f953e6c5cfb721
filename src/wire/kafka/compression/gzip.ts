import { gunzipSync, gzipSync } from 'node:zlib'
import type { Codec } from './codec.ts'

/** RFC 1952. */
export const gzip: Codec = {
  compress: bytes => gzipSync(bytes),
  decompress: (bytes, maxBytes) => gunzipSync(bytes, { maxOutputLength: Math.max(1, maxBytes) }),
}
