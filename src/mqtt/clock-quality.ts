import type { Clock } from '../platform/clock.ts'
import type { Files } from '../platform/files.ts'
import type { ClockQuality } from './record-headers.ts'

// systemd-timesyncd makes it once the clock was set from the network
const synchronizedFile = '/run/systemd/timesync/synchronized'
const checkEveryMs = 10_000

/** The quality of the wall clock, looked up every ten seconds. What nobody vouches for is `unknown`. */
export async function watchClockQuality(files: Files, clock: Clock): Promise<() => ClockQuality> {
  let quality: ClockQuality = 'unknown'
  const check = async (): Promise<void> => {
    quality = (await files.exists(synchronizedFile).catch(() => false)) ? 'synchronised' : 'unknown'
    clock.after(checkEveryMs, () => void check())
  }
  await check()
  return () => quality
}
