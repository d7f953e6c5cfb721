import { expect, it } from 'vitest'
import { type Sample, topScreen, wholeRoom } from '../../../src/cli/top-screen.ts'
import { FakeStatus } from '../http/fake-status.ts'

const topic = (name: string, records: number) => ({ name, id: name, partitions: 4, records, sizeBytes: records * 100 })

const sampleAt = (atMs: number, records: number): Sample => ({
  atMs,
  gateway: new FakeStatus().gateway(),
  topics: [
    topic('greenhouse.temperature.raw', records),
    ...Array.from({ length: 20 }, (_, index) => topic(`t${index}`, 1)),
  ],
  groups: [
    { id: 'a-group-with-quite-a-long-name', state: 'PreparingRebalance', members: 3, lag: 1234, uncommitted: 0 },
  ],
  clients: 12,
})
const [before, now] = [sampleAt(0, 1000), sampleAt(2000, 1500)]

it('shows everything where there is no terminal', () => {
  const text = topScreen(now, before, wholeRoom).join('\n')
  expect(text).toMatch(/^TOPIC +PARTITIONS +IN\/S +RECORDS +SIZE$/m)
  expect(text).toMatch(/^greenhouse\.temperature\.raw +4 +250 +1500 +\S+ KiB$/m)
  expect(text).toMatch(/^a-group-with-quite-a-long-name +PreparingRebalance +3 +1234 +0$/m)
  expect(text).toContain('(6 more topics)')
})

it('fits into 80 by 24 with all columns', () => {
  const lines = topScreen(now, before, { columns: 80, rows: 24 })
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80)
  expect(lines.length).toBeLessThan(24)
  expect(lines.join('\n')).toMatch(/^greenhouse\.temperature\.raw +4 +250 +1500 +\S+ KiB$/m)
})

it('keeps what matters most at 40 columns: every line whole, names, rates and lag', () => {
  const lines = topScreen(now, before, { columns: 40, rows: 24 })
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(40)
  expect(lines.length).toBeLessThan(24)
  const text = lines.join('\n')
  expect(text).toContain('in 250/s')
  expect(text).toContain('MQTT clients 12')
  expect(text).toMatch(/^TOPIC +IN\/S +RECORDS/m)
  expect(text).toMatch(/^greenhouse\.\S* +250 +1500/m)
  expect(text).toMatch(/^GROUP +STATE +LAG$|^GROUP +LAG$/m)
  expect(text).toMatch(/^a-group-\S*(\.\.\.)? .*1234$/m)
})
