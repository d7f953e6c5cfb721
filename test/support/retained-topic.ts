import { expect } from 'vitest'
import { type Gateway, runBrooklet } from './gateway.ts'

interface TopicView {
  readonly partitions: readonly { readonly logStartOffset: number; readonly highWatermark: number }[]
}

/** What the gateway itself has of a topic. */
export const topicOf = async ({ httpUrl }: Gateway, name: string): Promise<TopicView> =>
  (await (await fetch(`${httpUrl}/api/v1/topics/${name}`)).json()) as TopicView

/** Lets a topic keep little, and waits until a good part of each of its partitions has left the log; there must be some 200 KB in each. */
export const evictOldest = async (gateway: Gateway, topic: string): Promise<void> => {
  const { kafka } = gateway.addresses
  const altered = await runBrooklet([
    'topics',
    'alter',
    topic,
    '--config',
    'retention.bytes=1000',
    '--bootstrap',
    kafka,
  ])
  expect(altered.stderr).toBe('')
  const hasLost = async (): Promise<boolean> => {
    const { partitions } = await topicOf(gateway, topic)
    return partitions.every(({ logStartOffset, highWatermark }) => logStartOffset > highWatermark / 4)
  }
  await expect.poll(hasLost, { timeout: 60_000 }).toBe(true)
}
