/** The seeds of a simulation: `SEED=n` replays one, `SIM_RUNS=n` runs more than the few that fit into every build. */
export const seedsOf = (usual: number): number[] => {
  const seed = process.env['SEED']
  if (seed !== undefined) return [Number(seed)]
  const runs = Number(process.env['SIM_RUNS'] ?? usual)
  return Array.from({ length: runs }, (_, index) => index + 1)
}
