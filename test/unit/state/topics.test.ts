import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { type Topic, TopicsView } from '../../../src/state/topics.ts'
import type { StateChange } from '../../../src/state/view.ts'
import { firstTopicPartitionId } from '../../../src/storage/log.ts'

const topic = (name: string, id: string, partitions: readonly number[], more: Partial<Topic> = {}): Topic => ({
  name,
  id: id.padStart(32, '0'),
  partitions: partitions.map(partitionId),
  configs: new Map(),
  ...more,
})

/** As `ViewLog` does: what stands in the log is applied. */
const apply = (view: TopicsView, changes: readonly StateChange[]): void => {
  for (const { key, value } of changes) view.apply(Buffer.from(key), value === null ? null : Buffer.from(value))
}

const filled = (...topics: readonly Topic[]): TopicsView => {
  const view = new TopicsView()
  for (const each of topics) apply(view, view.put(each))
  return view
}

const first = firstTopicPartitionId
const sensors = topic('sensors', 'a1', [first, first + 1], {
  configs: new Map([
    ['retention.ms', '60000'],
    ['cleanup.policy', 'compact'],
  ]),
})
const doors = topic('doors', 'b2', [first + 2], { isAutomatic: true })

describe('TopicsView', () => {
  it('finds what was put by name and by id, with all that it has', () => {
    const view = filled(sensors, doors)
    expect(view.get('sensors')).toEqual(sensors)
    expect(view.getById(sensors.id)).toEqual(sensors)
    expect(view.get('doors')).toEqual(doors)
    expect('isAutomatic' in view.get('sensors')!).toBe(false)
    expect([view.size, view.get('windows'), view.getById('0'.repeat(32))]).toEqual([2, undefined, undefined])
    expect([...view.all()].map(({ name }) => name)).toEqual(['sensors', 'doors'])
  })

  it('changes nothing before the change is applied', () => {
    const view = new TopicsView()
    view.put(sensors)
    expect([view.size, view.nextPartition]).toEqual([0, first])
  })

  it('never gives a partition id twice: neither after a removal nor for a topic of low ids put later', () => {
    const view = filled(topic('late', 'c3', [first + 7]))
    expect(view.nextPartition).toBe(first + 8)
    apply(view, view.put(sensors))
    expect(view.nextPartition).toBe(first + 8)
    for (const { name } of [...view.all()]) apply(view, [view.remove(view.get(name)!)])
    expect([view.size, view.nextPartition]).toEqual([0, first + 8])
    const again = new TopicsView()
    for (const { key, value } of view.entries()) again.apply(key, value)
    expect(again.nextPartition).toBe(first + 8)
  })

  it('forgets the id of a topic that was removed, or made again under its name', () => {
    const view = filled(sensors)
    const again = topic('sensors', 'd4', [first + 5])
    apply(view, [view.remove(sensors)])
    expect(view.getById(sensors.id)).toBeUndefined()
    apply(view, view.put(again))
    expect([view.getById(sensors.id), view.getById(again.id)]).toEqual([undefined, again])

    const replaced = filled(sensors)
    apply(replaced, replaced.put(again))
    expect([replaced.getById(sensors.id), replaced.get('sensors'), replaced.size]).toEqual([undefined, again, 1])
  })

  it('keeps its place in the order when a topic changes', () => {
    const view = filled(sensors, doors)
    const wider = topic('sensors', 'a1', [first, first + 1, first + 3])
    apply(view, view.put(wider))
    expect([...view.all()]).toEqual([wider, doors])
    expect(view.nextPartition).toBe(first + 4)
  })

  it('is the same after its entries, and after records that it has seen', () => {
    const view = filled(sensors, doors)
    apply(view, [view.remove(doors)])
    apply(view, view.put(doors))
    const records = [...view.entries()]
    const again = new TopicsView()
    for (const { key, value } of [...records, ...records]) again.apply(key, value)
    expect([...again.all()]).toEqual([...view.all()])
    expect(again.nextPartition).toBe(view.nextPartition)
    expect(again.getById(doors.id)).toEqual(doors)
  })

  it('takes a removal of what it never had', () => {
    const view = filled(sensors)
    apply(view, [view.remove(doors)])
    expect([...view.all()]).toEqual([sensors])
  })

  it('clears everything', () => {
    const view = filled(sensors, doors)
    view.clear()
    expect([view.size, view.getById(sensors.id), view.get('doors'), view.nextPartition]).toEqual([
      0,
      undefined,
      undefined,
      first,
    ])
  })
})
