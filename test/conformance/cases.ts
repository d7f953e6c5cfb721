import { describe, test } from 'vitest'
import type { Settings } from '../../src/config/settings.ts'
import { Stage } from './stage.ts'

/** Something that a broker must do, and what shows that it does. */
export interface Case {
  readonly name: string
  readonly settings?: Partial<Settings>
  run(stage: Stage): Promise<void>
}

async function runOn({ settings, run }: Case): Promise<void> {
  const stage = await Stage.open(settings)
  try {
    await run(stage)
  } finally {
    await stage.end()
  }
}

/** One test per case, each with a broker of its own. */
export function testCases(suite: string, cases: readonly Case[]): void {
  describe(suite, () => {
    for (const one of cases) test(one.name, () => runOn(one))
  })
}
