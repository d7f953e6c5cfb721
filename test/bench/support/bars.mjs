// What a bench is held against. A bench returns `checks`: `{ name, value, atMost }` or `{ name, value, atLeast }`.

const text = value => (Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(2))

const isHeld = ({ value, atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY }) =>
  value <= atMost && value >= atLeast

/** The checks with their verdicts. */
export const judged = checks => checks.map(check => ({ ...check, held: isHeld(check) }))

/** A line for each, and one for all. */
export const verdict = (name, checks) => {
  const lines = checks.map(({ name, value, atMost, atLeast, held }) => {
    const bar = atMost === undefined ? `at least ${text(atLeast)}` : `at most ${text(atMost)}`
    return `  ${held ? 'held  ' : 'MISSED'}  ${name}: ${text(value)} (${bar})`
  })
  const missed = checks.filter(({ held }) => !held).length
  return [...lines, `${name}: ${missed === 0 ? 'every bar held' : `${missed} of ${checks.length} bars MISSED`}`].join(
    '\n',
  )
}
