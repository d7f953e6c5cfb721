/** What is named more than once in a request: each such name is refused once. */
export function duplicatesOf(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  return new Set(names.filter(name => seen.size === seen.add(name).size))
}

/** One of those that have the same key each, in order: naming a thing often must not make an answer that is many times the request. */
export const distinctBy = <Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] => [
  ...new Map(items.map(item => [keyOf(item), item])).values(),
]
