import { readFile, stat } from 'node:fs/promises'
import type { ReadWriteCounts } from '../write-counts.ts'

/** Unit of the kernel's counters, whatever the device's own is. */
const sectorBytes = 512
/** Sectors written, in Documentation/block/stat.rst of the kernel. */
const sectorsWrittenField = 6

/** `major:minor` as Linux packs them into `st_dev`. */
export const deviceNumber = (device: number): string => {
  const [low, high] = [device % 2 ** 32, Math.floor(device / 2 ** 32)]
  const major = ((low >>> 8) & 0xfff) | (high & 0xfffff000)
  const minor = (low & 0xff) | ((low >>> 12) & 0xfff00)
  return `${major}:${minor}`
}

/** Bytes written, from the text of a block device's `stat`; undefined when it is not such a text. */
export const bytesWrittenOf = (text: string): number | undefined => {
  const field = text.trim().split(/\s+/)[sectorsWrittenField]
  return field !== undefined && /^\d+$/.test(field) ? Number(field) * sectorBytes : undefined
}

/**
 * The block device that a file system with a number of its own (btrfs) is mounted from, by /proc/self/mountinfo: field 3 is the number, and
 * the second one after the dash the source. Undefined for those without one: overlay, tmpfs, NFS.
 */
export const mountSource = (mountInfo: string, number: string): string | undefined => {
  for (const line of mountInfo.split('\n')) {
    const [mount = '', rest = ''] = line.split(' - ')
    const source = rest.split(' ')[1]
    if (mount.split(' ')[2] === number && source?.startsWith('/dev/')) return source
  }
  return undefined
}

const readText = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined)

const countOf = async (number: string): Promise<number | undefined> => {
  const text = await readText(`/sys/dev/block/${number}/stat`)
  return text === undefined ? undefined : bytesWrittenOf(text)
}

const deviceBytes = async (path: string): Promise<number | undefined> => {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return undefined
  const number = deviceNumber(found.dev)
  const counted = await countOf(number)
  if (counted !== undefined) return counted
  const source = mountSource((await readText('/proc/self/mountinfo')) ?? '', number)
  const device = source === undefined ? undefined : await stat(source).catch(() => undefined)
  return device?.isBlockDevice() ? countOf(deviceNumber(device.rdev)) : undefined
}

const processBytes = async (): Promise<number | undefined> => {
  const found = /^write_bytes: (\d+)$/m.exec((await readText('/proc/self/io')) ?? '')
  return found === null ? undefined : Number(found[1])
}

export const readNodeWriteCounts: ReadWriteCounts = async path => ({
  deviceBytes: await deviceBytes(path),
  processBytes: await processBytes(),
})
