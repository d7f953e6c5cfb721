import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import type { Clock } from '../clock.ts'

/** Linux gives every boot an id; elsewhere every start of the process counts as a boot, which only makes log age grow slower. */
const readBootId = (): string => {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `process-${process.pid}-${Date.now()}`
  }
}

/** A longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1

/** os.uptime() opens a file: at 10,000 partitions that was a tenth of the CPU. */
const bootReadingMs = 20
let bootMs = Number.NEGATIVE_INFINITY
let bootReadAtMs = Number.NEGATIVE_INFINITY

/** The boot clock (sleep included) comes in hundredths of a second: good for log age, not for rates. Between two readings it stands. */
const sinceBootMs = (): number => {
  const nowMs = performance.now()
  if (nowMs - bootReadAtMs >= bootReadingMs) {
    bootReadAtMs = nowMs
    bootMs = Math.round(uptime() * 1000)
  }
  return bootMs
}

export const nodeClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sinceBootMs,
  bootId: readBootId(),
  after(delayMs, callback) {
    let timer: NodeJS.Timeout
    const wait = (leftMs: number): void => {
      const partMs = Math.min(leftMs, longestTimerMs)
      timer = setTimeout(() => (leftMs > partMs ? wait(leftMs - partMs) : callback()), partMs)
      timer.unref()
    }
    wait(delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  afterIo: callback => void setImmediate(callback),
}
