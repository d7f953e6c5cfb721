import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { isDoneAt, MqttSharesView, type StoredSharePosition } from '../../../src/state/mqtt-shares.ts'
import type { StateChange } from '../../../src/state/view.ts'

const [one, other] = [partitionId(70_000), partitionId(16)]
const position: StoredSharePosition = {
  next: 2 ** 40,
  pending: [
    [0, 1],
    [7, 9],
    [2 ** 39, 2 ** 40],
  ],
}

it('keeps positions by filter and partition, gives them as records, and forgets them', () => {
  const view = new MqttSharesView()
  const apply = (...changes: (StateChange | undefined)[]): void => {
    for (const change of changes) change!.view.apply(change!.key, change!.value)
  }
  apply(
    view.put('$share/g/ü', one, { next: 1, pending: [] }),
    view.put('$share/g/ü', one, position),
    view.put('$share/g/ü', other, { next: 3, pending: [] }),
    view.put('$share/h/ü', one, { next: 4, pending: [] }),
  )
  expect(view.put('$share/g/ü', one, position)).toBeUndefined()
  const copy = new MqttSharesView()
  for (const { key, value } of view.entries()) copy.apply(key, value)
  for (const found of [view, copy]) {
    expect(found.filters()).toEqual(['$share/g/ü', '$share/h/ü'])
    expect([...found.positions('$share/g/ü')]).toEqual([
      [one, position],
      [other, { next: 3, pending: [] }],
    ])
  }
  apply(view.remove('$share/g/ü', one), view.remove('$share/g/ü', other), view.remove('$share/h/ü', one))
  expect([...view.entries()]).toEqual([])
  expect(view.position('$share/g/ü', one)).toBeUndefined()
})

it('says which offsets are done', () => {
  const done = [0, 1, 6, 7, 8, 9, 2 ** 39 - 1, 2 ** 39, 2 ** 40 - 1, 2 ** 40].filter(at => isDoneAt(position, at))
  expect(done).toEqual([1, 6, 9, 2 ** 39 - 1])
})
