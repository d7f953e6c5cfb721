import { expect, it } from 'vitest'
import { MqttOutboundView } from '../../../src/state/mqtt-outbound.ts'
import type { StateChange } from '../../../src/state/view.ts'

const apply = (...changes: StateChange[]): void => {
  for (const { view, key, value } of changes) view.apply(key, value)
}
const window = {
  own: [
    [1, 70_000, 2 ** 40],
    [65_535, 9, 0],
  ],
  other: [[2, -1, -1]],
  received: [65_535],
  shared: [['$share/g/ü', [[3, 9, 1]]]],
} as const

it('keeps windows in the order of their numbers, gives them as records, and forgets them', () => {
  const view = new MqttOutboundView()
  apply(
    view.put('ü', 2 ** 40, window),
    view.put('ü', 3, { own: [], other: [], received: [], shared: [] }),
    view.put('other', 1, window),
    view.put('ü', 3, { ...window, received: [] }),
  )
  const copy = new MqttOutboundView()
  for (const { key, value } of view.entries()) copy.apply(key, value)
  for (const one of [view, copy]) {
    expect(one.clients()).toEqual(['ü', 'other'])
    expect(one.windows('ü')).toEqual([
      [3, { ...window, received: [] }],
      [2 ** 40, window],
    ])
  }
  apply(view.remove('ü', 3), ...view.removeAll('ü'), ...view.removeAll('other'))
  expect([...view.entries()]).toEqual([])
  expect(view.windows('ü')).toEqual([])
})
