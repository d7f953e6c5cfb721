import { expect, it } from 'vitest'
import { parseDeliver } from '../../../src/config/deliver.ts'
import { rulePublication } from '../../../src/mqtt/commands/rule-publication.ts'

it('what waits for a subscriber does not hold the batch that it was read in', () => {
  const parsed = parseDeliver([{ topic: 'commands', mqtt: 'd/{key}' }])
  const rule = ('value' in parsed ? parsed.value : [])[0]!
  const batch = Buffer.alloc(1 << 20, 'v')
  const record = { offset: 0, timestampMs: 0, key: null, value: batch.subarray(0, 10), headers: [] }
  const { payload } = rulePublication(rule, 'd/1', record, 0)
  expect(payload.toString()).toBe('vvvvvvvvvv')
  expect(payload.buffer).not.toBe(batch.buffer)
})
