import { afterAll, beforeEach } from 'vitest'

/**
 * Sets up what all tests of a file share because it takes long, as a cluster of Kafka. A test that is tried again finds it made anew: what
 * its first try left behind (topics, offsets, a broker that is down) would be in its way.
 */
export const shareSetup = (setUp: () => Promise<void>, tearDown: () => Promise<void>): void => {
  let state: 'absent' | 'begun' | 'ready' = 'absent'
  const clear = async (): Promise<void> => {
    if (state !== 'absent') await tearDown()
    state = 'absent'
  }
  beforeEach(async ({ task }) => {
    const isRetry = (task.result?.retryCount ?? 0) > 0
    if (isRetry || state === 'begun') await clear()
    if (state === 'ready') return
    state = 'begun'
    await setUp()
    state = 'ready'
  })
  afterAll(clear)
}
