import { describe, expect, test } from 'vitest'
import type { Settings } from '../../src/config/settings.ts'
import { patience } from '../support/wire-client.ts'
import { knownFailures } from './known-failures.ts'
import { Stage } from './stage.ts'

/** Something that a broker must do, and what shows that it does. */
export interface Case {
  readonly name: string
  readonly settings?: Partial<Settings>
  run(stage: Stage): Promise<void>
}

/** How long a case that must fail may wait for what does not come. */
const shortPatienceMs = 300

async function runOn({ settings, run }: Case): Promise<void> {
  const stage = await Stage.open(settings)
  try {
    await run(stage)
  } finally {
    await stage.end()
  }
}

/** One test per case, each with a broker of its own. A case of `knownFailures` must fail: what is mended leaves that list. */
export function testCases(suite: keyof typeof knownFailures, cases: readonly Case[]): void {
  describe(suite, () => {
    const known = knownFailures[suite]
    for (const one of cases) {
      if (!known.includes(one.name)) test(one.name, () => runOn(one))
      else {
        test(`${one.name} (known to fail)`, async () => {
          const { ms } = patience
          patience.ms = shortPatienceMs
          try {
            await expect(runOn(one)).rejects.toThrow()
          } finally {
            patience.ms = ms
          }
        })
      }
    }
    test('the list of known failures names cases', () => {
      expect(known.filter(name => !cases.some(one => one.name === name))).toEqual([])
    })
  })
}
