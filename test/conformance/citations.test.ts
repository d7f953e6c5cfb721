import { expect, test } from 'vitest'
import { inFolder, sourceFiles } from '../architecture/source-files.ts'
import { statements } from './statements/all.ts'

const text = sourceFiles
  .filter(inFolder('src'))
  .map(file => file.text)
  .join('\n')
const cited = new Set([...text.matchAll(/\[MQTT-(\d+\.\d+\.\d+-\d+)\]/g)].map(match => match[1]!))

test('the code that obeys a statement names it', () => {
  const testable = statements.filter(statement => 'test' in statement).map(({ id }) => id)
  expect(testable.filter(id => !cited.has(id))).toEqual([])
})

test('the code names no statement that the specification does not have', () => {
  // a statement of MQTT 3.1.1, which numbers its own
  const older = ['3.3.5-2']
  const known = new Set(statements.map(({ id }) => id))
  expect([...cited].filter(id => !known.has(id) && !older.includes(id))).toEqual([])
})
