import { beforeEach, expect, it } from 'vitest'
import { UplinkView } from '../../../src/state/uplink.ts'
import { rememberStart, startSends } from '../../../src/uplink/known-starts.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'

let under: MemoryBroker
let view: UplinkView

beforeEach(async () => {
  view = new UplinkView()
  under = await openMemoryBroker({ frontViews: [view] })
})

const start = (epoch: number): void => rememberStart(under.open.state, view, `start ${epoch}`, epoch)
const send = (epoch: number, named: readonly string[] = []): void => {
  under.open.state.write(startSends(view, `start ${epoch}`, epoch, new Set(named)))
}

it('of a thousand starts the newest are remembered', () => {
  for (let epoch = 1; epoch <= 1000; epoch++) start(epoch)
  expect(view.starts()).toHaveLength(64)
  expect(view.starts()[0]).toEqual({ incarnation: 'start 1000', epoch: 1000, mayHaveSent: false })
  expect(view.start('start 937')?.epoch).toBe(937)
  expect(view.start('start 936')).toBeUndefined()
})

it('one that may have sent stays through any number of starts without a session: a position may name it', () => {
  start(1)
  send(1)
  for (let epoch = 2; epoch <= 500; epoch++) start(epoch)
  expect(view.start('start 1')?.mayHaveSent).toBe(true)
})

it('once all positions are known, only those stay that one of them names', () => {
  for (let epoch = 1; epoch <= 300; epoch++) {
    start(epoch)
    send(epoch, ['start 3'])
  }
  expect(view.starts()).toHaveLength(65)
  expect(view.starts().at(-1)?.incarnation).toBe('start 3')
})

it('a log that takes nothing just now does not keep a gateway from starting', () => {
  under.log.full = true
  expect(() => start(1)).not.toThrow()
  expect(view.starts()).toEqual([])
})
