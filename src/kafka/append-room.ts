import { groupNumber } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Services } from './services.ts'

const retryAfterMs = 10

/**
 * Appends, and while the log has no room just now tries again: an error would make clients repeat the batch behind later ones, out of
 * order. `append` must change nothing when it throws an error that `waits`, which is thrown on after `timeoutMs`.
 */
export async function appendWithRoom<Result>(
  append: () => Promise<Result>,
  timeoutMs: number,
  services: Services,
): Promise<Result> {
  const { clock } = services
  const deadlineMs = clock.monotonicMs() + timeoutMs
  for (;;) {
    try {
      return await append()
    } catch (error) {
      const leftMs = deadlineMs - clock.monotonicMs()
      if (!(error instanceof BrokerError && error.waits) || leftMs <= 0) throw error
      await nextSync(error.kind === 'memoryFull' ? leftMs : Math.min(retryAfterMs, leftMs), services)
    }
  }
}

/** Waits for the group that is under way, at most so long: without a slot there may be none. */
async function nextSync(maxWaitMs: number, { broker, clock }: Services): Promise<void> {
  const durable = broker.whenDurable(groupNumber(broker.durableGroup + 1))
  await new Promise<void>((resolve, reject) => {
    const timer = clock.after(maxWaitMs, resolve)
    durable.then(resolve, reject).finally(() => timer.cancel())
  })
}
