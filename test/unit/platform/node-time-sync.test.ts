import { expect, it } from 'vitest'
import { readChronyTracking } from '../../../src/platform/node/time-sync.ts'

const line = (reference: string, stratum: number, leap: string): string =>
  `${reference},198.51.100.7,${stratum},1795241496.8,0.000001,0.000002,0.000013,3.225,-0.000,0.129,0.0136,0.0011,64.2,${leap}\n`

it('believes chrony when it follows somebody and says so', () => {
  expect(readChronyTracking(line('CB00710F', 3, 'Normal'))).toBe(true)
  expect(readChronyTracking(line('CB00710F', 3, 'Insert second'))).toBe(true)
  expect(readChronyTracking(line('00000000', 0, 'Not synchronised'))).toBe(false)
  expect(readChronyTracking(line('CB00710F', 3, 'Not synchronised'))).toBe(false)
})

it('does not take a chrony that serves its own clock for synchronised', () => {
  expect(readChronyTracking(line('7F7F0101', 10, 'Normal'))).toBe(false)
})

it('reads what chronyc 4.3 prints without a source, and with its own clock as the only one', () => {
  const zeros = '0.000000000,0.000000000,0.000000000,0.000,0.000,0.000'
  expect(readChronyTracking(`00000000,,0,0.000000000,${zeros},1.000000000,1.000000000,0.0,Not synchronised\n`)).toBe(
    false,
  )
  expect(readChronyTracking(`7F7F0101,,10,1795252752.535819173,${zeros},0.000000000,0.000000000,0.0,Normal\n`)).toBe(
    false,
  )
})

it('makes nothing of what is no tracking line', () => {
  for (const text of ['', '506 Cannot talk to daemon', 'a,b,c', line('CB00710F', 3, '')]) {
    expect(readChronyTracking(text), text).toBeUndefined()
  }
})
