import { beforeEach, expect, it } from 'vitest'
import { ConnectionCount, type ConnectionLimits, CountingGate } from '../../../src/broker/listeners/connection-gate.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const any = Number.POSITIVE_INFINITY
let clock: VirtualClock
beforeEach(() => {
  clock = new VirtualClock()
})

const count = (limits: Partial<ConnectionLimits>): ConnectionCount =>
  new ConnectionCount({ name: 'x', connections: any, perAddress: any, newPerSecond: any, ...limits })
const gateOf = (...limits: Partial<ConnectionLimits>[]): CountingGate => new CountingGate(limits.map(count), clock)
/** Reason of the refusal, or `in`. */
const enter = (gate: CountingGate, host: string): string => gate.enter(host)?.reason ?? 'in'

it('holds the number of all', () => {
  const gate = gateOf({ connections: 2 })
  expect(['a', 'b', 'c', 'a'].map(host => enter(gate, host))).toEqual([
    'in',
    'in',
    'connections.max',
    'connections.max',
  ])
  gate.leave('a')
  expect(enter(gate, 'c')).toBe('in')
  expect(gate.enter('d')?.why).toBe('x has 2 connections')
})

it('holds the number of each address, but for those of Unix sockets, who have none', () => {
  const gate = gateOf({ perAddress: 1 })
  expect(['a', 'a', 'b', '', ''].map(host => enter(gate, host))).toEqual([
    'in',
    'address.connections.max',
    'in',
    'in',
    'in',
  ])
  gate.leave('a')
  expect(['a', 'b'].map(host => enter(gate, host))).toEqual(['in', 'address.connections.max'])
})

it('holds the rate: a second of it at once, then as time passes', async () => {
  const gate = gateOf({ newPerSecond: 3 })
  const admitted = (): number => Array.from({ length: 10 }, () => enter(gate, 'a')).filter(word => word === 'in').length
  expect(admitted()).toBe(3)
  await clock.advance(400)
  expect(admitted()).toBe(1)
  await clock.advance(10_000)
  expect(admitted()).toBe(3)
})

it('who is refused counts nowhere', () => {
  const all = count({ connections: 2 })
  const small = new CountingGate([all, count({ connections: 1 })], clock)
  const large = new CountingGate([all], clock)
  expect([small, small, large, large].map(gate => enter(gate, 'a'))).toEqual([
    'in',
    'connections.max',
    'in',
    'connections.max',
  ])
  small.leave('a')
  expect([small, large].map(gate => enter(gate, 'a'))).toEqual(['in', 'connections.max'])
})
