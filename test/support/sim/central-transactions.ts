import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import type { CentralPartition } from './central-partition.ts'

/** Something that will happen, `delayMs` from now. */
export type Later = (delayMs: number, run: () => void) => void

export interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}

export type Answered = { readonly errorCode: number } & Identity

interface Transaction {
  producerId: number
  epoch: number
  timeoutMs: number
  /** `ending`: the decision is written, its markers are not yet everywhere. */
  state: 'empty' | 'ongoing' | 'ending' | 'ended'
  /** Of the end decided last. */
  committed: boolean
  /** Counts the openings, so that a timeout ends only the transaction that it was set for. */
  opened: number
  readonly partitions: Set<CentralPartition>
}

const lastEpoch = 32_766
const nobody = { producerId: -1, producerEpoch: -1 }
const failed = (errorCode: number): Answered => ({ errorCode, ...nobody })

export interface TransactionRules {
  /** The protocol of KIP-890's second part: the epoch rises with every end, partitions are added by what is produced. */
  readonly raisesEpochs: boolean
  /** Epoch of the first producer: near the last one a run goes over to another producer id. */
  readonly firstEpoch: number
  /** How long a marker takes to a partition. */
  readonly markerMs: () => number
}

/** The transaction coordinators of the simulated central cluster, as one: state that all replicas agree on (KIP-98, KIP-890). */
export class CentralTransactions {
  readonly #rules: TransactionRules
  readonly #later: Later
  readonly #transactions = new Map<string, Transaction>()
  #nextProducerId = 1000

  constructor(rules: TransactionRules, later: Later) {
    this.#rules = rules
    this.#later = later
  }

  /** Open, or their markers under way. */
  get unfinished(): number {
    return [...this.#transactions.values()].filter(({ state }) => state === 'ongoing' || state === 'ending').length
  }

  /** Of a producer without transactions. */
  newProducerId(): Answered {
    return { errorCode: errorCodes.NONE, producerId: this.#nextProducerId++, producerEpoch: 0 }
  }

  initProducerId(id: string, timeoutMs: number): Answered {
    const found = this.#transactions.get(id)
    if (found === undefined) {
      const { firstEpoch: epoch } = this.#rules
      const made = {
        producerId: this.#nextProducerId++,
        epoch,
        timeoutMs,
        state: 'empty',
        committed: false,
        opened: 0,
      } as const
      this.#transactions.set(id, { ...made, partitions: new Set() })
      return { errorCode: errorCodes.NONE, ...this.#identity(made) }
    }
    if (found.state === 'ongoing') {
      found.epoch++
      this.#end(found, false)
    }
    if (found.state === 'ending') return failed(errorCodes.CONCURRENT_TRANSACTIONS)
    found.epoch++
    this.#rollOver(found)
    found.state = 'empty'
    found.timeoutMs = timeoutMs
    return { errorCode: errorCodes.NONE, ...this.#identity(found) }
  }

  /** Before the first batch of a partition: by the client, or by the leader that got the batch. */
  add(id: string, identity: Identity, partitions: readonly CentralPartition[]): number {
    const found = this.#transactions.get(id)
    const wrong = this.#check(found, identity)
    if (found === undefined || wrong !== errorCodes.NONE) return wrong
    if (found.state === 'ending') return errorCodes.CONCURRENT_TRANSACTIONS
    if (found.state !== 'ongoing') {
      found.state = 'ongoing'
      const opening = ++found.opened
      this.#later(found.timeoutMs, () => {
        if (found.state !== 'ongoing' || found.opened !== opening) return
        found.epoch++
        this.#end(found, false)
      })
    }
    for (const partition of partitions) found.partitions.add(partition)
    return errorCodes.NONE
  }

  /** What a leader asks before it takes a batch under the first protocol (KIP-890, first part). */
  isOpenOver(id: string, identity: Identity, partition: CentralPartition): boolean {
    const found = this.#transactions.get(id)
    if (found === undefined || this.#check(found, identity) !== errorCodes.NONE) return false
    return found.state === 'ongoing' && found.partitions.has(partition)
  }

  /** The decision stands when this answers; its markers come later. */
  end(id: string, identity: Identity, committed: boolean): Answered {
    const found = this.#transactions.get(id)
    const { raisesEpochs } = this.#rules
    if (found !== undefined && raisesEpochs && found.state !== 'ongoing' && this.#isRepeat(found, identity)) {
      if (found.committed !== committed) return failed(errorCodes.INVALID_TXN_STATE)
      if (found.state === 'ending') return failed(errorCodes.CONCURRENT_TRANSACTIONS)
      return { errorCode: errorCodes.NONE, ...this.#identity(found) }
    }
    const wrong = this.#check(found, identity)
    if (found === undefined || wrong !== errorCodes.NONE) return failed(wrong)
    switch (found.state) {
      case 'empty':
        return failed(errorCodes.INVALID_TXN_STATE)
      case 'ending':
        return failed(found.committed === committed ? errorCodes.CONCURRENT_TRANSACTIONS : errorCodes.INVALID_TXN_STATE)
      case 'ended':
        return failed(found.committed === committed ? errorCodes.NONE : errorCodes.INVALID_TXN_STATE)
      case 'ongoing':
        if (raisesEpochs) found.epoch++
        this.#end(found, committed)
        return { errorCode: errorCodes.NONE, ...this.#identity(found) }
    }
  }

  #check(found: Transaction | undefined, { producerId, producerEpoch }: Identity): number {
    if (found?.producerId !== producerId) return errorCodes.INVALID_PRODUCER_ID_MAPPING
    return found.epoch === producerEpoch ? errorCodes.NONE : errorCodes.PRODUCER_FENCED
  }

  /** An end whose answer was lost is asked for again under the epoch before. */
  #isRepeat({ producerId, epoch }: Transaction, asked: Identity): boolean {
    return asked.producerId === producerId && asked.producerEpoch === epoch - 1
  }

  #identity({ producerId, epoch }: { readonly producerId: number; readonly epoch: number }): Identity {
    return { producerId, producerEpoch: epoch }
  }

  /** Where epochs are used up another producer id comes. */
  #rollOver(transaction: Transaction): void {
    if (transaction.epoch <= lastEpoch) return
    transaction.producerId = this.#nextProducerId++
    transaction.epoch = 0
  }

  #end(transaction: Transaction, committed: boolean): void {
    const { producerId, epoch, partitions } = transaction
    transaction.state = 'ending'
    transaction.committed = committed
    this.#rollOver(transaction)
    const marked = (partition: CentralPartition): void => {
      partitions.delete(partition)
      if (partitions.size === 0) transaction.state = 'ended'
    }
    if (partitions.size === 0) transaction.state = 'ended'
    for (const partition of partitions) {
      const write = (): void => {
        // a leader must be there to write it
        if (partition.leader < 0) this.#later(this.#rules.markerMs(), write)
        else {
          partition.mark(producerId, epoch, committed)
          marked(partition)
        }
      }
      this.#later(this.#rules.markerMs(), write)
    }
  }
}
