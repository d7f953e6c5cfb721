import type { Broker } from '../broker/broker.ts'
import { groupNumber } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { type Clock, sleep } from '../platform/clock.ts'

const retryAfterMs = 10

/** What waiting for room needs of the services. */
export interface RoomServices {
  readonly broker: Pick<Broker, 'ackableGroup' | 'openGroup' | 'whenAckable'>
  readonly clock: Clock
}

/**
 * Appends, and while the log has no room just now tries again: an error would make clients repeat the batch behind later ones, out of
 * order. `append` must change nothing when it throws an error that `waits`, which is thrown on after `timeoutMs`.
 */
export async function appendWithRoom<Result>(
  append: () => Promise<Result>,
  timeoutMs: number,
  services: RoomServices,
): Promise<Result> {
  const { clock } = services
  const deadlineMs = clock.monotonicMs() + timeoutMs
  for (;;) {
    try {
      return await append()
    } catch (error) {
      const leftMs = deadlineMs - clock.monotonicMs()
      if (!(error instanceof BrokerError && error.waits) || leftMs <= 0) throw error
      await nextCommit(error.kind === 'memoryFull' ? leftMs : Math.min(retryAfterMs, leftMs), services)
    }
  }
}

/** Waits for the group that is under way, at most so long; without one a moment. */
async function nextCommit(maxWaitMs: number, { broker, clock }: RoomServices): Promise<void> {
  const next = groupNumber(broker.ackableGroup + 1)
  // nothing is under way: the open group may be empty, and waiting for that is over at once, again and again
  if (next >= broker.openGroup) return sleep(clock, Math.min(retryAfterMs, maxWaitMs))
  const ackable = broker.whenAckable(next)
  await new Promise<void>((resolve, reject) => {
    const timer = clock.after(maxWaitMs, resolve)
    ackable.then(resolve, reject).finally(() => timer.cancel())
  })
}
