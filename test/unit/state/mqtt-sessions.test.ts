import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { MqttSessionsView } from '../../../src/state/mqtt-sessions.ts'
import type { StateChange } from '../../../src/state/view.ts'

const apply = (...changes: StateChange[]): void => {
  for (const { view, key, value } of changes) view.apply(key, value)
}
const subscription = {
  filter: 'a/#',
  qos: 1,
  noLocal: false,
  retainAsPublished: true,
  identifier: 7,
  from: [[9, 100]],
} as const

it('keeps sessions and positions, gives them as records, and forgets them', () => {
  const view = new MqttSessionsView()
  apply(
    view.put('ü', { expiryMs: null, subscriptions: [subscription] }),
    view.putPosition('ü', partitionId(70_000), 2 ** 40),
    view.putPosition('other', partitionId(9), 5),
    view.putPosition('other', partitionId(9), 6),
  )
  const copy = new MqttSessionsView()
  for (const { key, value } of view.entries()) copy.apply(key, value)
  for (const one of [view, copy]) {
    expect(one.session('ü')).toEqual({ expiryMs: null, subscriptions: [subscription] })
    expect([...one.positions('ü')]).toEqual([[70_000, 2 ** 40]])
    expect(one.position('other', partitionId(9))).toBe(6)
    expect(one.clients()).toEqual(['ü', 'other'])
  }
  apply(...view.remove('ü'), view.removePosition('other', partitionId(9)))
  expect(view.size).toBe(0)
  expect([...view.entries()]).toEqual([])
  expect(view.remove('ü')).toEqual([])
})
