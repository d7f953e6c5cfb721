import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy, ProxiedLink } from './fault-proxy.ts'

/** A kind of link that gateways have, as a `FaultProxy` plays it. */
export interface LinkProfile {
  readonly link: ProxiedLink
  /** What happens to it, again and again until the signal is given; it is whole afterwards. */
  readonly trouble?: (proxy: FaultProxy, signal: AbortSignal) => Promise<void>
}

const kilobit = 1000 / 8

/** `work` in turn until the signal. */
const again =
  (work: (proxy: FaultProxy) => Promise<void>) =>
  async (proxy: FaultProxy, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) await work(proxy)
    proxy.restore()
  }

export const linkProfiles = {
  /** Nobody is there while the readings are made. */
  offline: {
    link: { latencyMs: 5, bytesPerSecond: 1e6 },
    trouble: again(async proxy => {
      proxy.refuse()
      await sleep(200)
    }),
  },
  satellite: { link: { latencyMs: 300, bytesPerSecond: 512 * kilobit, loss: 0.02 } },
  '3G': {
    link: { latencyMs: 75, bytesPerSecond: 384 * kilobit, loss: 0.005 },
    trouble: again(async proxy => {
      await sleep(1_500)
      proxy.blackHole()
      await sleep(1_000)
      proxy.restore()
    }),
  },
  '50 kbit/s': { link: { latencyMs: 50, bytesPerSecond: 50 * kilobit } },
  flapping: {
    link: { latencyMs: 20, bytesPerSecond: 1000 * kilobit },
    trouble: again(async proxy => {
      await sleep(700)
      proxy.reset()
    }),
  },
} as const satisfies Readonly<Record<string, LinkProfile>>
