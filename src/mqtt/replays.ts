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

  /** In the place of the client's one with the same filter, if there is one. False: there is no room for it. */
  add(client: Client, replay: Replay): boolean {
    let inPast = 0
    for (const { isInPast } of this.#all) if (isInPast) inPast++
    if (inPast >= maxReplaysInPast || !this.#subscriptions.hasRoomForReplay(replay)) return false
    this.end(client, replay.text)
    client.replays.set(replay.text, replay)
    this.#all.add(replay)
    this.#subscriptions.addReplay(replay)
    return true
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
