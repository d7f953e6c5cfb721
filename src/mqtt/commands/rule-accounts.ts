import type { Broker } from '../../broker/broker.ts'
import type { FormerRule } from '../../broker/downlink-summary.ts'
import type { Topic } from '../../broker/topics.ts'
import type { DeliverRule } from '../../config/deliver.ts'
import { BrokerError } from '../../core/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import type { DeliveryPlace, DownlinkView } from '../../state/downlink.ts'
import { type StateLog, writeInOrder } from '../../state/state-log.ts'
import type { StateChange } from '../../state/view.ts'
import { nameByPlace, ruleNameOf } from './rule-name.ts'

export interface RuleAccountsParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: DownlinkView
  readonly rules: readonly DeliverRule[]
  /** What is kept of a rule that the settings are without, minutes of log age. */
  readonly retentionMinutes: number
  readonly logger: Logger
}

/**
 * The accounts of rules with `ack: device` beside the settings: one of before rules had names goes to its rule; one whose rule is gone is kept for a while,
 * for who takes a rule away by mistake; one of a deleted topic goes at once. What finds no room in the log is done at the next look.
 */
export class RuleAccounts {
  readonly #parts: RuleAccountsParts
  readonly #present: ReadonlySet<string>

  constructor(parts: RuleAccountsParts) {
    this.#parts = parts
    this.#present = new Set(parts.rules.filter(({ awaitsDevice }) => awaitsDevice).map(ruleNameOf))
  }

  /** Before any rule begins. */
  takeUp(): void {
    this.#tried(() => {
      for (const rule of this.#parts.rules) if (rule.awaitsDevice) this.inherit(rule)
    })
    this.look()
  }

  /** Now and then: what has been without its rule for long, or is of a topic that is gone, goes. */
  look(): void {
    this.#tried(() => {
      const { view, broker, state } = this.#parts
      writeInOrder(
        state,
        view.removeDeliveries(({ topicId }) => broker.topics.findById(topicId) !== undefined),
      )
      const rules = new Set([...view.deliveries().map(({ rule }) => rule), ...view.formerRules()])
      for (const rule of rules) this.#judge(rule)
    })
  }

  /** Of rules that the settings are without. */
  former(): FormerRule[] {
    const { view, state, retentionMinutes } = this.#parts
    return view.formerRules().map(rule => ({
      rule,
      pending: this.#pendingOf(rule),
      droppedInSeconds: Math.max(0, Math.floor(view.formerSince(rule)! + retentionMinutes * 60 - state.logAge)),
    }))
  }

  #judge(rule: string): void {
    const { view, state, logger, retentionMinutes } = this.#parts
    const since = view.formerSince(rule)
    const isEmpty = !view.deliveries().some(place => place.rule === rule)
    if (this.#present.has(rule) || isEmpty) {
      if (since !== undefined) state.write([view.removeFormer(rule)])
      return
    }
    const fields = { rule, records: this.#pendingOf(rule), minutes: retentionMinutes }
    if (since === undefined) {
      state.write([view.putFormer(rule, Math.floor(state.logAge))])
      logger.warn(fields, 'a deliver rule is gone from the settings: what waits for its devices is kept for a while')
    } else if (state.logAge - since >= retentionMinutes * 60) {
      logger.warn(fields, 'what waited for devices of a deliver rule that is gone from the settings is dropped')
      writeInOrder(state, [...view.removeDeliveries(place => place.rule !== rule), view.removeFormer(rule)])
    }
  }

  /** Takes the account over that the rule had by its place; before the rule begins, or it would begin at the end. Throws `BrokerError`. */
  inherit(rule: DeliverRule): void {
    const { view, broker, rules, state } = this.#parts
    const [name, before] = [ruleNameOf(rule), nameByPlace(rules, rule)]
    const topicId = broker.topics.find(rule.topic)?.id
    for (const place of view.deliveries()) {
      if (place.rule !== before || place.topicId !== topicId) continue
      if (view.delivered({ ...place, rule: name }) === undefined) writeInOrder(state, this.#move(place, name))
    }
  }

  /** The position last: without it a start begins anew with this. */
  #move(place: DeliveryPlace, name: string): StateChange[] {
    const { view, state } = this.#parts
    const [to, waiting] = [{ ...place, rule: name }, view.waiting(place)]
    return [
      ...waiting.map(offset => view.putWaiting(to, offset, Math.floor(state.logAge))),
      view.putDelivered(to, view.delivered(place)!),
      ...view.removeDeliveries(one => one.rule !== place.rule || topicPartition(one) !== topicPartition(place)),
    ]
  }

  /** Records that no device has, as far as the log here still has them. */
  #pendingOf(rule: string): number {
    const { view, broker } = this.#parts
    let records = 0
    for (const place of view.deliveries()) {
      const topic = place.rule === rule ? broker.topics.findById(place.topicId) : undefined
      if (topic !== undefined) records += view.waiting(place).length + this.#behind(place, topic)
    }
    return records
  }

  #behind(place: DeliveryPlace, { partitions }: Topic): number {
    const { view, broker } = this.#parts
    return Math.max(0, broker.offsets(partitions[place.partition]!).highWatermark - view.delivered(place)!)
  }

  #tried(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
    }
  }
}

const topicPartition = ({ topicId, partition }: DeliveryPlace): string => `${topicId}/${partition}`
