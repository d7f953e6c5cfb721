// What the figures were measured on, and what processes and devices did meanwhile.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'

export const machine = () => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryMiB: Math.round(totalmem() / 2 ** 20),
  kernel: release(),
  node: process.version,
})

const numberAfter = (text, name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)

/** Resident memory now and at its highest, in MiB. */
export const memoryOf = pid => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return { rssMiB: numberAfter(status, 'VmRSS') / 1024, peakMiB: numberAfter(status, 'VmHWM') / 1024 }
}

/** From now on `memoryOf` says the highest since now. */
export const forgetPeak = pid => writeFileSync(`/proc/${pid}/clear_refs`, '5')

/** Seconds of CPU that the process has used, all threads. */
export const cpuSecondsOf = pid => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Bytes that the process had the kernel write to devices. NaN where /proc does not say. */
export const writtenBy = pid => {
  try {
    return numberAfter(readFileSync(`/proc/${pid}/io`, 'utf8'), 'write_bytes')
  } catch {
    return Number.NaN
  }
}

const sectorBytes = 512

/** Bytes that all programs together wrote to the device that holds `path`. NaN where /sys does not say. */
export const writtenToDevice = path => {
  try {
    const { dev } = statSync(path)
    const number = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`
    const fields = readFileSync(`/sys/dev/block/${number}/stat`, 'utf8').trim().split(/\s+/)
    return Number(fields[6]) * sectorBytes
  } catch {
    return Number.NaN
  }
}

/** The middle value. */
export const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

/** Rows of objects as an aligned text table. */
export const table = rows => {
  const names = Object.keys(rows[0] ?? {})
  const text = value => (typeof value === 'number' ? formatNumber(value) : String(value))
  const widths = names.map(name => Math.max(name.length, ...rows.map(row => text(row[name]).length)))
  const line = cells => cells.map((cell, index) => cell.padEnd(widths[index])).join('  ')
  return [
    line(names),
    line(widths.map(width => '-'.repeat(width))),
    ...rows.map(row => line(names.map(name => text(row[name])))),
  ].join('\n')
}

const formatNumber = value => {
  if (Number.isNaN(value)) return '-'
  return Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(value < 10 ? 2 : 1)
}
