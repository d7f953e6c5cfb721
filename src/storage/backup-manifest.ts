import { join } from 'node:path'
import { crc32c } from '../core/crc32c.ts'
import { StartError } from '../core/errors.ts'
import type { Files } from '../platform/files.ts'
import { formatVersion } from './layout.ts'

/** One segment in a backup: a file with the slot's bytes up to `end`, then its footer without padding to a slot. */
export interface BackupSegment {
  readonly file: string
  readonly slot: number
  readonly end: number
  readonly footerBytes: number
  /** CRC-32C of the file. */
  readonly crc: number
}

/** What a complete backup holds; it is written last. */
export interface BackupManifest {
  readonly format: number
  readonly logId: string
  readonly lastGroup: number
  readonly slotBytes: number
  /** The file `meta`, base64. */
  readonly meta: string
  readonly segments: readonly BackupSegment[]
}

const manifestName = 'backup'
/** Where the segments are, within the backup. */
export const segmentDirectory = (backup: string): string => join(backup, 'segments')

const manifestPath = (backup: string): string => join(backup, manifestName)

/** Durable when it resolves; until then the backup that stood there before is the one that counts. */
export const writeManifest = (files: Files, backup: string, manifest: BackupManifest): Promise<void> => {
  const text = JSON.stringify(manifest)
  return files.replaceSmall(manifestPath(backup), Buffer.from(`${text}\n${crcText(text)}\n`))
}

/** Undefined: no backup was completed there. Throws `StartError` 65 for one that cannot be believed or is newer. */
export const readManifest = async (files: Files, backup: string): Promise<BackupManifest | undefined> => {
  const bytes = await files.readSmall(manifestPath(backup))
  if (bytes === undefined) return undefined
  const [text = '', crc] = bytes.toString().split('\n')
  const manifest = crc === crcText(text) ? (JSON.parse(text) as BackupManifest) : undefined
  if (manifest === undefined) throw new StartError(65, `${manifestPath(backup)} is damaged or not of Brooklet`)
  if (manifest.format > formatVersion) {
    throw new StartError(65, `${backup} was written by a newer Brooklet; use that version`)
  }
  return manifest
}

const crcText = (text: string): string => `crc32c ${crc32c(Buffer.from(text)).toString(16).padStart(8, '0')}`

/** Names of files in the backup's directory that are no part of a backup. */
export const foreignNames = (names: readonly string[]): string[] =>
  names.filter(name => ![manifestName, `${manifestName}.new`, 'segments', 'lost+found'].includes(name))
