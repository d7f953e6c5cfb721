/** Thrown when an invariant is broken. Never caught: the process prints it, exits 70 and recovery runs at the next start. */
export class AssertionError extends Error {
  override name = 'AssertionError'
}

/** States an invariant. Kept on in production; a false `condition` is a bug of ours, never bad input. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`invariant broken: ${invariant}`)
}
