import type { PartitionId } from '../core/brand.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Client } from './client.ts'
import type { Replay } from './replay.ts'
import type { Subscriptions } from './subscriptions.ts'

/** Replays that read the past at the same time, of all clients: each reads whole partitions. */
export const maxReplaysInPast = 8

/** The replays of all connected clients. */
export class Replays {
  readonly #subscriptions: Subscriptions
  readonly #metrics: Metrics
  readonly #all = new Set<Replay>()

  constructor(subscriptions: Subscriptions, metrics: Metrics) {
    this.#subscriptions = subscriptions
    this.#metrics = metrics
  }

  get hasRoom(): boolean {
    let count = 0
    for (const { isInPast } of this.#all) if (isInPast) count++
    return count < maxReplaysInPast
  }

  add(client: Client, replay: Replay): void {
    client.replays.set(replay.text, replay)
    this.#all.add(replay)
    this.#subscriptions.addReplay(replay)
  }

  /** False: the client has no such replay. */
  end(client: Client, text: string): boolean {
    const replay = client.replays.get(text)
    if (replay === undefined) return false
    client.replays.delete(text)
    this.#all.delete(replay)
    this.#subscriptions.removeReplay(replay)
    replay.end()
    return true
  }

  /** The connection is gone; a replay that was not at its end is counted. */
  endAll(client: Client): void {
    for (const { text, backlog } of [...client.replays.values()]) {
      if (!backlog.isEmpty) this.#metrics.add('mqttDropped', 1, 'rest of a replay')
      this.end(client, text)
    }
  }

  /** A topic was deleted. */
  forget(partitions: readonly PartitionId[]): void {
    for (const { backlog } of this.#all) for (const partition of partitions) backlog.forget(partition)
  }
}
