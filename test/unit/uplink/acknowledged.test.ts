import { beforeEach, expect, it } from 'vitest'
import { UplinkView } from '../../../src/state/uplink.ts'
import { acknowledgeLoss, acknowledgementFault, withoutKnown } from '../../../src/uplink/acknowledged.ts'
import type { Lane } from '../../../src/uplink/lane.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'

const lane = { topic: 't', partition: 3, topicId: 'a'.repeat(32) } as Lane
const loss = { name: 'target', records: 90, text: 'topic t is not there' }
const known = { topic: 't', partition: 3, loss: 'target', records: 90, by: 'anna' }

let under: MemoryBroker
let view: UplinkView

beforeEach(async () => {
  view = new UplinkView()
  under = await openMemoryBroker({ frontViews: [view] })
})

const found = (losses: readonly (typeof loss)[], of = lane) =>
  withoutKnown({ state: under.open.state, view }, of, losses)
const acknowledge = (more: Partial<typeof known> = {}) =>
  acknowledgeLoss({ state: under.open.state, view }, lane, { ...known, ...more })

it('what somebody knows of is listed with the name and the time, also after a restart', async () => {
  expect(found([loss])).toEqual({ losses: [loss], acknowledged: [] })
  await acknowledge()
  under.log.logAge += 60
  const listed = { losses: [], acknowledged: [{ ...loss, by: 'anna', agoSeconds: 60 }] }
  expect(found([loss])).toEqual(listed)
  view = new UplinkView()
  under = await openMemoryBroker({ log: under.log, frontViews: [view] })
  expect(found([loss])).toEqual(listed)
})

it('fewer records are known with more, more are not, nor another loss, nor one of a later topic of this name', async () => {
  await acknowledge()
  expect(found([{ ...loss, records: 50 }]).acknowledged).toHaveLength(1)
  expect(found([{ ...loss, records: 91 }]).losses).toHaveLength(1)
  expect(found([{ ...loss, name: 'start/b/0' }]).losses).toHaveLength(1)
  expect(found([loss], { ...lane, topicId: 'b'.repeat(32) } as Lane).losses).toHaveLength(1)
  await acknowledge({ records: 91, by: 'ben' })
  expect(found([{ ...loss, records: 91 }]).acknowledged).toMatchObject([{ by: 'ben' }])
})

it('what is acknowledged is bounded, and belongs to a partition that goes up', async () => {
  expect(acknowledgementFault(view, lane, known)).toBeUndefined()
  expect(acknowledgementFault(view, undefined, known)).toContain('partition 3 of t does not go up')
  expect(acknowledgementFault(view, lane, { ...known, records: Number.NaN })).toContain('records is how many')
  expect(acknowledgementFault(view, lane, { ...known, by: 'x'.repeat(101) })).toContain('at most 100 characters')
  for (let index = 0; index < 200; index++) await acknowledge({ loss: `start/b/${index}` })
  expect(acknowledgementFault(view, lane, known)).toContain('200 losses are known already')
  expect(acknowledgementFault(view, lane, { ...known, loss: 'start/b/7' })).toBeUndefined()
})
