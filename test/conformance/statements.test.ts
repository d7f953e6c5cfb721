import { describe, expect, test } from 'vitest'
import { testCases } from './cases.ts'
import { statements } from './statements/all.ts'

/** Statements of each section in appendix B of the specification; 2.2.1 begins with its second. */
const counts = {
  '1.5.4': 3, '1.5.5': 1, '1.5.7': 1, '2.1.3': 1, '2.2.1': 5, '2.2.2': 1, '3.1.0': 2, '3.1.2': 30, '3.1.3': 12, '3.1.4': 6,
  '3.2.0': 2, '3.2.2': 22, '3.3.1': 13, '3.3.2': 20, '3.3.4': 10, '3.4.2': 3, '3.5.2': 3, '3.6.1': 1, '3.6.2': 3, '3.7.2': 3,
  '3.8.1': 1, '3.8.3': 5, '3.8.4': 8, '3.9.2': 2, '3.9.3': 2, '3.10.1': 1, '3.10.3': 2, '3.10.4': 6, '3.11.2': 2, '3.11.3': 2,
  '3.12.4': 1, '3.14.0': 1, '3.14.1': 1, '3.14.2': 4, '3.14.4': 3, '3.15.1': 1, '3.15.2': 3, '4.1.0': 2, '4.2.0': 1, '4.3.1': 1,
  '4.3.2': 5, '4.3.3': 13, '4.4.0': 2, '4.5.0': 2, '4.6.0': 6, '4.7.0': 1, '4.7.1': 2, '4.7.2': 1, '4.7.3': 4, '4.8.2': 6,
  '4.9.0': 3, '4.12.0': 7, '4.12.1': 2, '4.13.1': 1, '4.13.2': 1, '6.0.0': 4,
} // biome-ignore format: a table

describe('the table of normative statements', () => {
  test('has every statement of the specification once, in its order', () => {
    const ids = Object.entries(counts).flatMap(([section, count]) =>
      Array.from({ length: count }, (_, index) => `${section}-${index + (section === '2.2.1' ? 2 : 1)}`),
    )
    expect(statements.map(({ id }) => id)).toEqual(ids)
    expect(ids.length).toBe(251)
  })

  test('says of each in words of its own what it is about', () => {
    expect(statements.filter(({ says }) => says.length < 10)).toEqual([])
  })
})

testCases(
  'MQTT 5 statements',
  statements.flatMap(statement =>
    'test' in statement
      ? [
          {
            name: `[MQTT-${statement.id}] ${statement.says}`,
            ...(statement.settings === undefined ? {} : { settings: statement.settings }),
            run: statement.test,
          },
        ]
      : [],
  ),
)
