import { type CommandResult, centralHeaders } from '../../../src/broker/command-report.ts'
import type { DownlinkView } from '../../../src/state/downlink.ts'
import type { LogRecord } from '../../../src/wire/kafka/records.ts'
import type { CentralCommands, Sent } from './central-commands.ts'
import type { SimDevice } from './device.ts'
import { must } from './must.ts'

/** What stands in the log of the gateway. */
export interface Held {
  readonly view: DownlinkView
  /** What came down, in the order of its keys. */
  readonly commands: readonly LogRecord[]
  /** Values of the topic that is told what became of commands here. */
  readonly results: readonly LogRecord[]
  /** The same of those that were not taken. */
  readonly dropped: readonly LogRecord[]
}

interface Report {
  readonly result: CommandResult
  /** `TOPIC/PARTITION/OFFSET` in the central cluster. */
  readonly place: string
}

const placeOf = ({ topic, partition, offset }: Pick<Sent, 'topic' | 'partition' | 'offset'>): string =>
  `${topic}/${partition}/${offset}`

const counted = (places: Iterable<string>): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1)
  return counts
}

const reportOf = ({ value }: LogRecord): Report => {
  const { result, ...where } = JSON.parse(String(value))
  return { result, place: placeOf(where) }
}

/** What is promised of the way down: decision 065, as sentences about what was sent, what the gateway has, and what devices took. */
export class CommandLedger {
  readonly #commands: CentralCommands
  readonly #sent = new Map<string, Sent>()
  #known = 0
  /** Central offset of the first record that was taken, by topic id and partition: `from: latest` may begin anywhere, and once. */
  readonly #firsts = new Map<string, number>()

  constructor(commands: CentralCommands) {
    this.#commands = commands
  }

  /** At any time: nothing twice, nothing in a wrong order, and positions that say what is there. */
  check({ view, commands, results, dropped }: Held): void {
    for (; this.#known < this.#commands.sent.length; this.#known++) {
      const sent = this.#commands.sent[this.#known]!
      this.#sent.set(sent.value, sent)
    }
    const taken = this.#takenOf(commands)
    const drops = counted(dropped.map(record => reportOf(record).place))
    for (const { topic, topicId, partition } of this.#partitions())
      this.#checkPosition(view, { topic, topicId, partition }, taken, drops)
    const places = counted(taken.map(placeOf))
    for (const [place, reports] of counted(results.map(record => reportOf(record).place)))
      must(reports <= (places.get(place) ?? 0), () => `${reports} reports of ${place}`)
  }

  /** Once all has come to its end: a report for each, and what they say is what devices know. */
  checkWhole({ commands, results }: Held, devices: readonly SimDevice[]): void {
    const reports = results.map(reportOf)
    must(reports.length === commands.length, () => `${reports.length} reports of ${commands.length} records`)
    for (const device of devices) this.#checkDevice(device)
    const values = new Set(devices.flatMap(device => device.taken.map(({ value }) => value)))
    const places = counted([...values].map(value => placeOf(this.#sent.get(value)!)))
    const delivered = reports.filter(({ result }) => result === 'delivered').map(({ place }) => place)
    for (const [place, times] of counted(delivered))
      must((places.get(place) ?? 0) >= times, () => `${place} is reported as delivered, and no device took it`)
  }

  /** What was sent and came down, in the order in which it stands here. */
  #takenOf(commands: readonly LogRecord[]): Sent[] {
    const seen = new Set<string>()
    const lasts = new Map<string, Sent>()
    return commands.map(record => {
      const value = String(record.value)
      const sent = this.#sent.get(value)
      must(sent?.isOurs === true && sent.isCommitted, () => `${value} is here, and not for us or not committed`)
      const { key, topicId, partition, offset } = sent!
      must(!seen.has(value), () => `${placeOf(sent!)} is here twice`)
      seen.add(value)
      const from = record.headers.find(header => header.key === centralHeaders.offset)?.value
      must(String(from) === `${offset}`, () => `${placeOf(sent!)} says that it was ${from}`)
      const line = `${topicId}/${partition}/${key}`
      must((lasts.get(line)?.offset ?? -1) < offset, () => `${placeOf(sent!)} comes after a later one of its key`)
      lasts.set(line, sent!)
      return sent!
    })
  }

  #partitions(): Sent[] {
    return [...new Map([...this.#sent.values()].map(sent => [`${sent.topicId}/${sent.partition}`, sent])).values()]
  }

  /** Records and position are in the log together: what a position has passed is here, and nothing beyond it is. */
  #checkPosition(
    view: DownlinkView,
    { topic, topicId, partition }: Pick<Sent, 'topic' | 'topicId' | 'partition'>,
    taken: readonly Sent[],
    drops: ReadonlyMap<string, number>,
  ): void {
    const position = view.position(topic, partition)
    if (position?.topicId !== topicId) return
    const own = (sent: Sent): boolean => sent.topicId === topicId && sent.partition === partition
    const here = new Set(taken.filter(own).map(({ value }) => value))
    const where = `partition ${partition} of ${topic}`
    must(position.taken === here.size, () => `${where}: ${position.taken} counted as taken, ${here.size} here`)
    const first =
      this.#firsts.get(`${topicId}/${partition}`) ?? Math.min(...taken.filter(own).map(({ offset }) => offset))
    if (here.size > 0) this.#firsts.set(`${topicId}/${partition}`, first)
    for (const sent of this.#sent.values()) {
      if (!own(sent)) continue
      if (here.has(sent.value)) {
        must(sent.offset < position.next, () => `${placeOf(sent)} is here, and ${position.next} is to be read next`)
        continue
      }
      const isDue = sent.isOurs && sent.isCommitted && sent.offset < position.next && sent.offset >= first
      const isExplained = sent.isEvicted || drops.has(placeOf(sent))
      must(!isDue || isExplained, () => `${placeOf(sent)} is not here, and ${position.next} is to be read next`)
    }
  }

  #checkDevice({ options, taken, refused }: SimDevice): void {
    const { id, isSteady } = options
    const lasts = new Map<string, Sent>()
    const seen = new Set<string>()
    for (const { value, topic } of taken) {
      const sent = this.#sent.get(value)!
      if (seen.has(value)) {
        must(!isSteady || !topic.startsWith('exactly/'), () => `${id} took ${placeOf(sent)} twice`)
        continue
      }
      seen.add(value)
      const line = `${topic} ${sent.topicId}/${sent.partition}`
      // one that it has refused comes again when the gateway dies before it has written that
      const isInOrder = refused.has(value) || (lasts.get(line)?.offset ?? -1) < sent.offset
      must(isInOrder, () => `${id} took ${placeOf(sent)} after a later one`)
      lasts.set(line, sent)
    }
  }
}
