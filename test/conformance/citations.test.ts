import { expect, test } from 'vitest'
import { inFolder, sourceFiles } from '../architecture/source-files.ts'
import { statements } from './statements/all.ts'
import { uncited } from './uncited.ts'

const text = sourceFiles
  .filter(file => inFolder('src/mqtt')(file) || inFolder('src/wire/mqtt')(file))
  .map(file => file.text)
  .join('\n')
const cited = new Set([...text.matchAll(/\[MQTT-(\d+\.\d+\.\d+-\d+)\]/g)].map(match => match[1]!))
const testable = statements.filter(statement => 'test' in statement).map(({ id }) => id)

test('the code that obeys a statement names it', () => {
  expect(testable.filter(id => !cited.has(id) && !uncited.includes(id))).toEqual([])
})

test('what the code names leaves the list of those that it does not', () => {
  expect(uncited.filter(id => cited.has(id) || !testable.includes(id))).toEqual([])
})

test('the code names no statement that the specification does not have', () => {
  // a statement of MQTT 3.1.1, which numbers its own
  const older = ['3.3.5-2']
  const known = new Set(statements.map(({ id }) => id))
  expect([...cited].filter(id => !known.has(id) && !older.includes(id))).toEqual([])
})
