import { expect, it } from 'vitest'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { MemoryShare } from '../../../src/mqtt/memory-share.ts'
import { Session } from '../../../src/mqtt/session.ts'
import type { Subscription } from '../../../src/mqtt/subscription.ts'
import { Subscriptions } from '../../../src/mqtt/subscriptions.ts'
import { filterMatches } from '../../../src/wire/mqtt/topic-filter.ts'
import { SimRandom } from '../../support/sim/random.ts'

const memory = new MemoryShare(new MemoryBudget(1 << 30), 1)
const metrics = new Metrics()
const levels = ['a', 'b', '$c']
const wildcards = [...levels, '+', '#']

it('finds who subscribes to a topic, whatever came and went since it was asked for last', () => {
  const random = new SimRandom(7)
  const levelOf = (from: readonly string[]): string => from[random.below(from.length)]!
  const topicOf = (): string => Array.from({ length: 1 + random.below(3) }, () => levelOf(levels)).join('/')
  const filterOf = (): string => {
    const parts = Array.from({ length: 1 + random.below(3) }, () => levelOf(wildcards))
    const end = parts.indexOf('#')
    return parts.slice(0, end < 0 ? undefined : end + 1).join('/')
  }
  const subscriptions = new Subscriptions(memory, metrics)
  const present: Subscription[] = []
  let found = 0
  for (let step = 0; step < 20_000; step++) {
    if (random.below(2) === 0) {
      const session = new Session(`s${step}`, { limitBytes: 1, memory, metrics, changed: () => undefined })
      const subscription = {
        session,
        filter: filterOf(),
        qos: 0 as const,
        noLocal: false,
        retainAsPublished: false,
        identifier: 0,
        from: new Map(),
      }
      subscriptions.add(subscription)
      present.push(subscription)
    }
    if (present.length > 20) subscriptions.remove(present.splice(random.below(present.length), 1)[0]!)
    const topic = topicOf()
    const expected = present.filter(({ filter }) => filterMatches(filter, topic)).map(({ session }) => session.clientId)
    const targets = subscriptions.audienceOf(topic).targets.map(({ session }) => session.clientId)
    expect(targets.sort(), topic).toEqual(expected.sort())
    found += targets.length
  }
  expect(found).toBeGreaterThan(20_000)
})
