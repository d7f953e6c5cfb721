/**
 * One compression codec. `decompress` throws (anything) at bad input and never yields, nor allocates, much more than
 * `maxBytes`.
 */
export interface Codec {
  readonly compress: (bytes: Buffer) => Buffer | Promise<Buffer>
  readonly decompress: (bytes: Buffer, maxBytes: number) => Buffer | Promise<Buffer>
}
