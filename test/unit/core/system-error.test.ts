import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { systemErrorText } from '../../../src/core/system-error.ts'

const errorWith = (code: string | undefined, message: string) => Object.assign(new Error(message), { code })

it.each([
  ['says what a code of the system means', 'ECONNREFUSED', 'connect …', 'connection refused (ECONNREFUSED)'],
  ['leaves what it does not know in its own words', 'EWHATEVER', 'something else', 'something else'],
  ['needs no code', undefined, 'a sentence', 'a sentence'],
  ['takes a code that stands alone', 'EWHATEVER', '', 'EWHATEVER'],
])('%s', (_, code, message, text) => expect(systemErrorText(errorWith(code, message))).toBe(text))

it('knows what Node throws', async () => {
  const error = await readFile('/').catch(error => error)
  expect(systemErrorText(error)).toBe('it is a directory (EISDIR)')
})
