import { expect, it } from 'vitest'
import { formatTable } from '../../../src/cli/table.ts'

it('aligns columns, numbers to the right', () => {
  const table = formatTable(
    ['TOPIC', 'RECORDS'],
    [
      ['a', 5],
      ['long.name', 12_345],
    ],
  )
  expect(table).toBe('TOPIC      RECORDS\na                5\nlong.name    12345\n')
})

it('takes a dash among numbers for one, and a column of dashes for text', () => {
  const rows = [
    ['a', 1234, '-'],
    ['b', '-', '-'],
    ['c', '?', '-'],
  ]
  expect(formatTable(['TOPIC', 'LAG', 'MEMBER'], rows)).toBe(
    'TOPIC   LAG  MEMBER\na      1234  -\nb         -  -\nc         ?  -\n',
  )
})

it('is a heading when there is nothing', () => {
  expect(formatTable(['TOPIC', 'RECORDS'], [])).toBe('TOPIC  RECORDS\n')
})

it('lets no name command the terminal', () => {
  expect(formatTable(['GROUP'], [['a\u001b[2J\nb']])).toBe('GROUP\na?[2J?b\n')
})
