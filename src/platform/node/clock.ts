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

// os.uptime() reads the boot clock (sleep included) but only in hundredths of a second: good for log age, not for rates
export const nodeClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sinceBootMs: () => Math.round(uptime() * 1000),
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
