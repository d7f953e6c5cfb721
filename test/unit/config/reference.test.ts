import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { referencePages, refreshCommand } from '../../../src/config/reference.ts'

test.each(referencePages())('docs/reference/$name is what the tables say', ({ name, content }) => {
  let written = ''
  try {
    written = readFileSync(new URL(`../../../docs/reference/${name}`, import.meta.url), 'utf8')
  } catch {
    // a page that is missing is as stale as a page can be
  }
  expect(written, `docs/reference/${name} is stale; refresh it: ${refreshCommand}`).toBe(content)
})
