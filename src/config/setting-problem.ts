import { StartError } from '../core/errors.ts'

/** One thing wrong with the settings. */
export interface SettingProblem {
  /** Dotted key as written; empty when the source as a whole is wrong. */
  readonly key: string
  /** Where it was given: `brooklet.yaml:12`, `BROOKLET_A_B`, `--a-b`. */
  readonly place: string
  readonly reason: string
  /** The valid value or key that is closest to what was written. */
  readonly nearest?: string
}

/** One line of the error: place, key, reason, what to write instead. */
function formatProblem({ key, place, reason, nearest }: SettingProblem): string {
  const subject = key === '' ? place : `${key} (${place})`
  return `${subject}: ${reason}${nearest === undefined ? '' : `; nearest: ${nearest}`}`
}

/** The start that cannot go on: all problems at once, exit code 64. */
export function settingsError(problems: readonly SettingProblem[]): StartError {
  const title = problems.length === 1 ? 'bad settings:' : `bad settings, ${problems.length} problems:`
  return new StartError(64, [title, ...problems.map(problem => `  ${formatProblem(problem)}`)].join('\n'))
}
