/**
 * The seeds of a simulation: `SEED=n` replays one, `SIM_RUNS=n` runs more than the few that fit into every build. `found` are seeds that
 * once found a bug.
 */
export const seedsOf = (usual: number, found: readonly number[] = []): number[] => {
  const seed = process.env['SEED']
  if (seed !== undefined) return [Number(seed)]
  const runs = Number(process.env['SIM_RUNS'] ?? usual)
  const first = Array.from({ length: runs }, (_, index) => index + 1)
  return [...first, ...found.filter(each => each > runs)]
}
