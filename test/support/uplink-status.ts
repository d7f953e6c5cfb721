import { expect } from 'vitest'
import type { UplinkSummary } from '../../src/broker/uplink-summary.ts'
import type { Gateway } from './gateway.ts'

/** What a gateway says of its uplink. */
export const uplinkOf = async ({ httpUrl }: Gateway): Promise<UplinkSummary> =>
  (await (await fetch(`${httpUrl}/api/v1/uplink`)).json()) as UplinkSummary

/** Waits until the gateway knows of all its records that they are upstream, or are not to go there. */
export const untilDrained = (gateway: Gateway, timeoutMs = 60_000): Promise<void> =>
  expect
    .poll(
      async () => {
        const { state, partitions } = await uplinkOf(gateway)
        return state === 'connected' && partitions.length > 0 && partitions.every(({ lagRecords }) => lagRecords === 0)
      },
      { timeout: timeoutMs },
    )
    .toBe(true)
