import { expect, it } from 'vitest'
import { MqttWillsView } from '../../../src/state/mqtt-wills.ts'

const will = {
  topic: 'a',
  payload: Buffer.from([0, 255]),
  qos: 2,
  retain: true,
  properties: Buffer.from([1, 1]),
  delayMs: 5000,
  silenceMs: 90_000,
  dueLogAge: null,
} as const

it('keeps wills, gives them as records, knows what is there already, and forgets them', () => {
  const view = new MqttWillsView()
  const put = view.put('ü', will)!
  view.apply(put.key, put.value)
  const copy = new MqttWillsView()
  for (const { key, value } of view.entries()) copy.apply(key, value)
  expect(copy.wills()).toEqual([['ü', will]])
  expect(copy.put('ü', will)).toBeUndefined()
  expect(copy.put('ü', { ...will, dueLogAge: 7.5 })).toBeDefined()
  const { key, value } = copy.remove('ü')
  copy.apply(key, value)
  expect([...copy.entries()]).toEqual([])
})
