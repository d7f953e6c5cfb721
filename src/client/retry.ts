import { type Clock, sleep } from '../platform/clock.ts'

const usualPauseMs = 50
const longestPauseMs = 1_000

/**
 * Does `work` again after growing pauses, the first of `firstPauseMs`, while `isTransient` says that its error may pass, for `limitMs` at most; then
 * the last error is thrown. Work under way is not cut short.
 */
export const retrying = async <Result>(
  clock: Clock,
  limitMs: number,
  isTransient: (error: unknown) => boolean,
  work: () => Promise<Result>,
  firstPauseMs = usualPauseMs,
): Promise<Result> => {
  const deadlineMs = clock.monotonicMs() + limitMs
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await work()
    } catch (error) {
      if (!isTransient(error) || clock.monotonicMs() + pauseMs > deadlineMs) throw error
    }
    await sleep(clock, pauseMs)
  }
}
