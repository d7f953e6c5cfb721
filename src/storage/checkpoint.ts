import { crc32c } from '../core/crc32c.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import { encodeSegmentIndex } from './footer.ts'
import type { ChainLink } from './group-scan.ts'
import { formatVersion, getUint64, putUint64 } from './layout.ts'
import type { LogAgeMark } from './log-age.ts'
import type { Segment } from './segment.ts'

const stateKey = 'log/state'
const activeKey = 'log/active'
const segmentPrefix = 'log/segment/'
const coldPrefix = 'log/cold/'
const fixedBytes = 64
/** A larger index of the active segment is left out; recovery then scans the segment from its beginning. */
const maxActiveBytes = 64 * 1024

/** Where the log stood, all of it synced. Never needed: whoever reads it believes checksums only and can do without. */
export interface Checkpoint {
  readonly chain: ChainLink
  readonly activeSequence: number
  readonly logAge: LogAgeMark
  /** A batch of the log control partition that holds its whole state. */
  readonly control: Buffer
}

const segmentKey = (segment: Segment): string =>
  `${segment.isCold ? coldPrefix : segmentPrefix}${String(segment.sequence).padStart(12, '0')}`

const encodeState = (logId: string, { chain, activeSequence, logAge, control }: Checkpoint): Buffer => {
  const bytes = Buffer.alloc(fixedBytes + control.length)
  bytes.writeUInt16BE(formatVersion, 4)
  bytes.write(logId, 8, 'hex')
  putUint64(bytes, chain.group, 24)
  bytes.writeUInt32BE(chain.crc, 32)
  bytes.writeBigUInt64BE(chain.salt, 36)
  putUint64(bytes, activeSequence, 44)
  bytes.writeUInt32BE(logAge.logAge, 52)
  bytes.writeUInt32BE(logAge.sinceBoot, 56)
  bytes.writeUInt32BE(logAge.bootHash, 60)
  control.copy(bytes, fixedBytes)
  bytes.writeUInt32BE(crc32c(bytes.subarray(4)), 0)
  return bytes
}

/** The checkpoint of this log, or undefined when there is none that verifies. */
export const readCheckpoint = (store: CheckpointStore, logId: string): Checkpoint | undefined => {
  const bytes = store.get(stateKey)
  if (bytes === undefined || bytes.length < fixedBytes || crc32c(bytes.subarray(4)) !== bytes.readUInt32BE(0))
    return undefined
  if (bytes.readUInt16BE(4) !== formatVersion || bytes.toString('hex', 8, 24) !== logId) return undefined
  return {
    chain: { group: getUint64(bytes, 24), crc: bytes.readUInt32BE(32), salt: bytes.readBigUInt64BE(36) },
    activeSequence: getUint64(bytes, 44),
    logAge: { logAge: bytes.readUInt32BE(52), sinceBoot: bytes.readUInt32BE(56), bootHash: bytes.readUInt32BE(60) },
    control: bytes.subarray(fixedBytes),
  }
}

/** What the checkpoint knows of a sealed segment. Unverified: see `takeSegmentIndex`. */
export const readSegmentSummary = (store: CheckpointStore, segment: Segment): Buffer | undefined =>
  store.get(segmentKey(segment))

/** All summaries of the checkpoint, with the names of their segments; unverified. */
export function* segmentSummaries(store: CheckpointStore): Generator<readonly [name: string, index: Buffer]> {
  for (const [key, index] of store.entries(segmentPrefix)) {
    yield [`hot/${Number(key.slice(segmentPrefix.length))}`, index]
  }
  for (const [key, index] of store.entries(coldPrefix)) yield [`cold/${Number(key.slice(coldPrefix.length))}`, index]
}

export const readActiveIndex = (store: CheckpointStore): Buffer | undefined => store.get(activeKey)

/** Writes checkpoints; a sealed segment's summary only once. */
export class CheckpointWriter {
  readonly #store: CheckpointStore
  readonly #logId: string
  /** Keys of the summaries that are there. */
  readonly #written = new Set<string>()

  constructor(store: CheckpointStore, logId: string) {
    this.#store = store
    this.#logId = logId
    for (const prefix of [segmentPrefix, coldPrefix]) {
      for (const [key] of store.entries(prefix)) this.#written.add(key)
    }
  }

  /** Encodes everything before it returns, so that the log may go on; durable when it resolves. */
  write(checkpoint: Checkpoint, segments: readonly Segment[]): Promise<void> {
    const changes = new Map<string, Uint8Array | undefined>()
    changes.set(stateKey, encodeState(this.#logId, checkpoint))
    const present = new Set<string>()
    const { logAge, activeSequence } = checkpoint
    for (const segment of segments) {
      if (!segment.isCold && segment.sequence === activeSequence) {
        const fits = segment.footerBytes <= maxActiveBytes
        changes.set(activeKey, fits ? encodeSegmentIndex(segment, logAge.logAge, true) : undefined)
      } else if (segment.sealed && segment.hasFooter) {
        const key = segmentKey(segment)
        present.add(key)
        if (this.#written.has(key)) continue
        changes.set(key, encodeSegmentIndex(segment, logAge.logAge, false))
        this.#written.add(key)
      }
    }
    for (const key of this.#written) {
      if (present.has(key)) continue
      changes.set(key, undefined)
      this.#written.delete(key)
    }
    return this.#store.write(changes)
  }
}
