import { expect, test } from 'vitest'
import { tools } from '../support/tools.ts'
import { readTreeFile } from './source-files.ts'

test('what interop tests ask for is what .ci/run installs', () => {
  const text = readTreeFile('.ci/missing-packages')
  const wanted = Object.entries(tools).map(([tool, { package: name }]) => `  ${tool}:${name}\n`)
  expect(wanted.filter(line => !text.includes(line))).toEqual([])
})
