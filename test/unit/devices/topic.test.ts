import { expect, test } from 'vitest'
import { fillTopic, matchTopic } from '../../../devices/index.ts'

test('a template filled and matched gives its parts back', () => {
  const template = 'sensors/{site}/{device}/env'
  const parts = { site: 'lab', device: 'env-00001' }
  expect(fillTopic(template, parts)).toBe('sensors/lab/env-00001/env')
  expect(matchTopic(template, fillTopic(template, parts))).toEqual(parts)
})

test('another topic does not match', () => {
  expect(matchTopic('sensors/{site}/{device}/env', 'sensors/lab/env-00001/soil')).toBeUndefined()
  expect(matchTopic('sensors/{site}/{device}/env', 'sensors/lab/env-00001')).toBeUndefined()
  expect(matchTopic('sensors/{site}/{device}/env', 'sensors/lab/env-00001/env/x')).toBeUndefined()
})
