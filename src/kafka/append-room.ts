import { groupNumber } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Services } from './services.ts'

/**
 * Appends, and while too much waits for the device tries again after each sync: an error would make clients repeat the batch behind
 * later ones, out of order. `append` must change nothing when it throws `memoryFull`, which is thrown on after `timeoutMs`.
 */
export async function appendWithRoom<Result>(
  append: () => Promise<Result>,
  timeoutMs: number,
  { broker, clock }: Services,
): Promise<Result> {
  const deadlineMs = clock.monotonicMs() + timeoutMs
  for (;;) {
    try {
      return await append()
    } catch (error) {
      const isFull = error instanceof BrokerError && error.kind === 'memoryFull'
      if (!isFull || clock.monotonicMs() >= deadlineMs) throw error
    }
    // a full log has a group under way, and room when that is durable
    await broker.whenDurable(groupNumber(broker.durableGroup + 1))
  }
}
