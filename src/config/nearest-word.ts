/** Insertions, deletions, replacements and swaps of neighbours that turn `from` into `to` (optimal string alignment). */
export function editDistance(from: string, to: string): number {
  let older: number[] = []
  let old = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      let best = Math.min(old[column]! + 1, current[column - 1]! + 1, old[column - 1]! + (same ? 0 : 1))
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (swapped && row > 1 && column > 1) best = Math.min(best, older[column - 2]! + 1)
      current.push(best)
    }
    older = old
    old = current
  }
  return old[to.length]!
}

/** The word that a misspelt one most likely meant; undefined when none is near. Case does not count. */
export function nearestWord<Word extends string>(written: string, words: readonly Word[]): Word | undefined {
  let nearest: Word | undefined
  let least = Math.max(2, Math.ceil(written.length / 3)) + 1
  for (const word of words) {
    const distance = editDistance(written.slice(0, 200).toLowerCase(), word.toLowerCase())
    if (distance < least) {
      least = distance
      nearest = word
    }
  }
  return nearest
}
