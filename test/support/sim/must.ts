/** A promise that a simulated run broke. */
export class BrokenPromise extends Error {}

/** Throws `BrokenPromise` unless `holds`. `what` is only asked then: these checks run once for each record, after each of 100,000 crashes. */
export const must = (holds: boolean, what: () => string): void => {
  if (!holds) throw new BrokenPromise(what())
}
