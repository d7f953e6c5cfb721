import { hash } from 'node:crypto'

const wordsPerKey = 4
const bytesPerKey = 24
const firstCapacity = 1024
/** Above this share of its places the table grows. */
const maxLoad = 0.7
const empty = -1

/**
 * The newest offset of each key, by the first 128 bits of a hash that begins with a secret: two keys of one topic share it with no chance worth
 * naming, also when somebody chooses them. Bounded: see `put`.
 */
export class KeyOffsets {
  readonly #maxKeys: number
  readonly #secret: Buffer
  #scratch: Buffer
  #capacity = firstCapacity
  #words = new Uint32Array(firstCapacity * wordsPerKey)
  #offsets = new Float64Array(firstCapacity).fill(empty)
  #count = 0

  constructor(limitBytes: number, secret: Buffer) {
    this.#maxKeys = Math.max(1, Math.floor((limitBytes / bytesPerKey) * maxLoad))
    this.#secret = secret
    this.#scratch = Buffer.alloc(1024)
    secret.copy(this.#scratch)
  }

  get count(): number {
    return this.#count
  }

  /** Memory that it holds. */
  get bytes(): number {
    return this.#capacity * bytesPerKey
  }

  /** The key's newest record stands at `offset`. False: there is no room for another key, nothing has changed. */
  put(key: Buffer, offset: number): boolean {
    const digest = this.#digest(key)
    let place = this.#placeOf(digest)
    if (this.#offsets[place] !== empty) {
      if (offset > this.#offsets[place]!) this.#offsets[place] = offset
      return true
    }
    if (this.#count >= this.#maxKeys) return false
    if (this.#count + 1 > this.#capacity * maxLoad) {
      this.#grow()
      place = this.#placeOf(digest)
    }
    for (let word = 0; word < wordsPerKey; word++) {
      this.#words[place * wordsPerKey + word] = digest.readUInt32LE(word * 4)
    }
    this.#offsets[place] = offset
    this.#count++
    return true
  }

  /** The newest offset of the key; -1 for a key that was not put. */
  get(key: Buffer): number {
    return this.#offsets[this.#placeOf(this.#digest(key))]!
  }

  #digest(key: Buffer): Buffer {
    const { length } = this.#secret
    if (length + key.length > this.#scratch.length) {
      this.#scratch = Buffer.alloc(2 * (length + key.length))
      this.#secret.copy(this.#scratch)
    }
    key.copy(this.#scratch, length)
    return hash('sha256', this.#scratch.subarray(0, length + key.length), 'buffer')
  }

  /** Where the key stands, or the free place where it would. */
  #placeOf(digest: Buffer): number {
    let place = digest.readUInt32LE(0) % this.#capacity
    while (this.#offsets[place] !== empty && !this.#isAt(place, digest)) place = (place + 1) % this.#capacity
    return place
  }

  #isAt(place: number, digest: Buffer): boolean {
    for (let word = 0; word < wordsPerKey; word++) {
      if (this.#words[place * wordsPerKey + word] !== digest.readUInt32LE(word * 4)) return false
    }
    return true
  }

  #grow(): void {
    const [words, offsets] = [this.#words, this.#offsets]
    this.#capacity *= 2
    this.#words = new Uint32Array(this.#capacity * wordsPerKey)
    this.#offsets = new Float64Array(this.#capacity).fill(empty)
    for (let from = 0; from < offsets.length; from++) {
      if (offsets[from] === empty) continue
      let place = words[from * wordsPerKey]! % this.#capacity
      while (this.#offsets[place] !== empty) place = (place + 1) % this.#capacity
      this.#words.set(words.subarray(from * wordsPerKey, (from + 1) * wordsPerKey), place * wordsPerKey)
      this.#offsets[place] = offsets[from]!
    }
  }
}
