import { commonFault, isSystemTopic, MAX_TOPIC_LEVELS } from './topic-name.ts'

/** Why a text is no topic filter, or undefined. [MQTT-4.7.1-1] [MQTT-4.7.1-2] */
export function topicFilterFault(filter: string): string | undefined {
  if (filter === '') return 'a topic filter cannot be empty'
  const levels = filter.split('/')
  for (const [index, level] of levels.entries()) {
    if (level === '+' || (level === '#' && index === levels.length - 1)) continue
    if (level.includes('+')) return '+ fills a whole level of a topic filter'
    if (level.includes('#')) return '# stands alone in the last level of a topic filter'
  }
  return commonFault(filter, MAX_TOPIC_LEVELS)
}

/** Does the filter match the topic name? A leading wildcard does not match topics that begin with `$`. [MQTT-4.7.3-4] */
export function filterMatches(filter: string, topic: string): boolean {
  if (isSystemTopic(topic) && (filter.startsWith('+') || filter.startsWith('#'))) return false
  let at = 0
  let topicAt = 0
  // level by level, in place: it is asked for many filters
  for (;;) {
    const end = levelEnd(filter, at)
    const wildcard = end === at + 1 ? filter[at] : undefined
    if (wildcard === '#') return true
    if (topicAt > topic.length) return false
    const topicEnd = levelEnd(topic, topicAt)
    if (wildcard !== '+' && !isSame(filter, at, end, topic, topicAt, topicEnd)) return false
    if (end === filter.length) return topicEnd === topic.length
    at = end + 1
    topicAt = topicEnd + 1
  }
}

function levelEnd(text: string, from: number): number {
  const end = text.indexOf('/', from)
  return end < 0 ? text.length : end
}

function isSame(one: string, from: number, to: number, other: string, otherFrom: number, otherTo: number): boolean {
  if (to - from !== otherTo - otherFrom) return false
  for (let index = 0; index < to - from; index++)
    if (one.charCodeAt(from + index) !== other.charCodeAt(otherFrom + index)) return false
  return true
}

/** Does `outer` match every topic that `filter` matches? */
export function filterCovers(outer: string, filter: string): boolean {
  if (/^[+#]/.test(outer) && isSystemTopic(filter)) return false
  const wanted = outer.split('/')
  const levels = filter.split('/')
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true
    const asked = levels[index]
    if (asked === undefined || asked === '#' || (level !== '+' && level !== asked)) return false
  }
  return wanted.length === levels.length
}

/** Most branches have either children or values: what they have not is not made. */
interface Branch<Value> {
  children: Map<string, Branch<Value>> | undefined
  values: Set<Value> | undefined
}

const newBranch = <Value>(): Branch<Value> => ({ children: undefined, values: undefined })

/** Values under topic filters, found by topic name. A value stands at most once under one filter. */
export class FilterTree<Value> {
  readonly #root = newBranch<Value>()
  /** Rises with every change: what was found before may be wrong now. */
  generation = 0

  add(filter: string, value: Value): void {
    let branch = this.#root
    for (const level of filter.split('/')) {
      branch.children ??= new Map()
      let child = branch.children.get(level)
      if (child === undefined) branch.children.set(level, (child = newBranch()))
      branch = child
    }
    branch.values ??= new Set()
    branch.values.add(value)
    this.generation++
  }

  delete(filter: string, value: Value): void {
    this.#deleteFrom(this.#root, filter.split('/'), 0, value)
    this.generation++
  }

  /** Every value whose filter matches; one that stands under several matching filters comes several times. */
  match(topic: string): Value[] {
    const found: Value[] = []
    this.#collect(this.#root, topic.split('/'), 0, isSystemTopic(topic), found)
    return found
  }

  /** The depth is the level count, which is bounded. */
  #collect(branch: Branch<Value>, levels: readonly string[], at: number, hidden: boolean, found: Value[]): void {
    const { children } = branch
    const wild = !(hidden && at === 0)
    const rest = wild ? children?.get('#') : undefined
    if (rest?.values !== undefined) for (const value of rest.values) found.push(value)
    if (at === levels.length) {
      if (branch.values !== undefined) for (const value of branch.values) found.push(value)
      return
    }
    const exact = children?.get(levels[at]!)
    if (exact !== undefined) this.#collect(exact, levels, at + 1, hidden, found)
    const any = wild ? children?.get('+') : undefined
    if (any !== undefined) this.#collect(any, levels, at + 1, hidden, found)
  }

  /** True when the branch is empty afterwards. */
  #deleteFrom(branch: Branch<Value>, levels: readonly string[], at: number, value: Value): boolean {
    if (at === levels.length) {
      branch.values?.delete(value)
    } else {
      const child = branch.children?.get(levels[at]!)
      if (child !== undefined && this.#deleteFrom(child, levels, at + 1, value)) branch.children!.delete(levels[at]!)
    }
    return (branch.values?.size ?? 0) === 0 && (branch.children?.size ?? 0) === 0
  }
}
