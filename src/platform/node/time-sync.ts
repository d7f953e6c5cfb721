import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import type { AskTimeSync } from '../time-sync.ts'

// systemd-timesyncd makes it once the clock was set from the network; /run is empty after a boot
const synchronizedFile = '/run/systemd/timesync/synchronized'
const chronycTimeoutMs = 2000
const chronycMaxBytes = 4096
const trackingFields = 14
/** 127.127.1.1: chrony serves its own clock, with nobody behind it. */
const localReference = '7F7F0101'
const synchronisedLeaps: readonly string[] = ['Normal', 'Insert second', 'Delete second']

/**
 * Whether chrony has synchronised the clock, from a line of `chronyc -c tracking`: reference id, name, stratum, ten figures, leap status.
 * Undefined when it is not such a line.
 */
export const readChronyTracking = (line: string): boolean | undefined => {
  const fields = line.trim().split(',')
  if (fields.length < trackingFields) return undefined
  const [reference, , stratum] = fields
  const leap = fields[trackingFields - 1] ?? ''
  if (leap === '' || !/^\d+$/.test(stratum ?? '')) return undefined
  return synchronisedLeaps.includes(leap) && Number(stratum) > 0 && reference?.toUpperCase() !== localReference
}

/** Undefined without chronyc, without a running chronyd, and when it does not answer in time. */
const askChrony = (): Promise<boolean | undefined> =>
  new Promise(resolve => {
    const limits = { timeout: chronycTimeoutMs, killSignal: 'SIGKILL', maxBuffer: chronycMaxBytes } as const
    execFile(
      'chronyc',
      ['-n', '-c', 'tracking'],
      { ...limits, env: { ...process.env, LC_ALL: 'C' } },
      (error, output) => resolve(error === null ? readChronyTracking(output) : undefined),
    )
  })

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

export const askNodeTimeSync: AskTimeSync = async () => {
  if (await exists(synchronizedFile)) return { source: 'systemd-timesyncd', synchronised: true }
  const synchronised = await askChrony()
  return synchronised === undefined ? undefined : { source: 'chrony', synchronised }
}
