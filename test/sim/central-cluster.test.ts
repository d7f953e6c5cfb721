import { beforeEach, expect, test } from 'vitest'
import { encodeBatch } from '../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../src/wire/kafka/error-codes.ts'
import { allRecords, openRecords } from '../../src/wire/kafka/records.ts'
import { CentralPartition } from '../support/sim/central-partition.ts'
import { CentralTransactions, type Identity } from '../support/sim/central-transactions.ts'

/** The rules of the simulated central cluster, which the simulation of the uplink believes. Apache Kafka is the judge in test/interop. */

let partition: CentralPartition
let due: (() => void)[] = []
const happen = (): void => {
  for (const run of due.splice(0)) run()
}
const later = (delayMs: number, run: () => void): void => {
  // timeouts are apart: a test lets them happen by name
  if (delayMs < 10_000) due.push(run)
  else timeouts.push(run)
}
let timeouts: (() => void)[] = []

beforeEach(() => {
  partition = new CentralPartition('t', 0)
  partition.leader = 1
  due = []
  timeouts = []
})

const batch = ({ producerId, producerEpoch }: Identity, baseSequence: number, ...values: string[]): Buffer =>
  encodeBatch(
    values.map(value => ({ timestampMs: 1, key: null, value: Buffer.from(value) })),
    { producer: { producerId, producerEpoch, baseSequence }, transactional: true },
  )
const values = (): string[] =>
  partition.committed().flatMap(one => allRecords(openRecords(one)).map(({ value }) => value!.toString()))
const { NONE, INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, CONCURRENT_TRANSACTIONS } = errorCodes
const { PRODUCER_FENCED, INVALID_TXN_STATE } = errorCodes

test('a leader takes sequences in order, repeats answers, and refuses what is older', () => {
  const own = { producerId: 1, producerEpoch: 3 }
  expect(partition.append(batch(own, 0, 'a', 'b'))).toEqual({ errorCode: NONE, baseOffset: 0 })
  expect(partition.append(batch(own, 2, 'c'))).toEqual({ errorCode: NONE, baseOffset: 2 })
  expect(partition.append(batch(own, 0, 'a', 'b'))).toEqual({ errorCode: NONE, baseOffset: 0 })
  expect(partition.append(batch(own, 4, 'e')).errorCode).toBe(OUT_OF_ORDER_SEQUENCE_NUMBER)
  expect(partition.append(batch({ ...own, producerEpoch: 2 }, 3, 'x')).errorCode).toBe(INVALID_PRODUCER_EPOCH)
  expect(partition.append(batch({ ...own, producerEpoch: 4 }, 3, 'x')).errorCode).toBe(OUT_OF_ORDER_SEQUENCE_NUMBER)
  expect(partition.append(batch({ ...own, producerEpoch: 4 }, 0, 'x')).errorCode).toBe(NONE)
})

test('readers of committed records wait for the first open transaction and never see an aborted one', () => {
  const [one, other] = [
    { producerId: 1, producerEpoch: 0 },
    { producerId: 2, producerEpoch: 0 },
  ]
  partition.append(batch(one, 0, 'one'))
  partition.append(batch(other, 0, 'other'))
  partition.mark(2, 0, true)
  expect([partition.lastStable, values()]).toEqual([0, []])
  partition.mark(1, 0, false)
  expect([partition.lastStable, values()]).toEqual([4, ['other']])
  expect(partition.read(0, 1 << 20, true).abortedTransactions).toEqual([{ producerId: 1, firstOffset: 0 }])
  expect(partition.read(4, 1 << 20, true).abortedTransactions).toEqual([])
  partition.append(batch(one, 1, 'again'))
  partition.mark(1, 0, true)
  expect(values()).toEqual(['other', 'again'])
})

for (const raisesEpochs of [false, true]) {
  const kind = raisesEpochs ? 'epochs that rise with each end' : 'epochs that rise with each start'
  const begin = () => {
    const transactions = new CentralTransactions({ raisesEpochs, firstEpoch: 0, markerMs: () => 1 }, later)
    const identity = transactions.initProducerId('id', 30_000)
    transactions.add('id', identity, [partition])
    partition.append(batch(identity, 0, 'a'))
    return { transactions, identity }
  }

  test(`${kind}: a commit counts when its marker is there`, () => {
    const { transactions, identity } = begin()
    const ended = transactions.end('id', identity, true)
    expect([ended.errorCode, values()]).toEqual([NONE, []])
    expect(transactions.end('id', identity, true).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    expect(transactions.initProducerId('id', 30_000).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    happen()
    expect(values()).toEqual(['a'])
    // a repeat of the end whose answer was lost
    expect(transactions.end('id', identity, true).errorCode).toBe(NONE)
    expect(transactions.end('id', identity, false).errorCode).toBe(INVALID_TXN_STATE)
    expect(ended.producerEpoch).toBe(raisesEpochs ? 1 : 0)
  })

  test(`${kind}: a new producer aborts what the old one left, and fences it`, () => {
    const { transactions, identity } = begin()
    expect(transactions.initProducerId('id', 30_000).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    happen()
    const fresh = transactions.initProducerId('id', 30_000)
    expect(fresh).toMatchObject({ errorCode: NONE, producerId: identity.producerId })
    expect(fresh.producerEpoch).toBeGreaterThan(identity.producerEpoch)
    expect(values()).toEqual([])
    expect(transactions.end('id', identity, true).errorCode).toBe(PRODUCER_FENCED)
    expect(transactions.add('id', identity, [partition])).toBe(PRODUCER_FENCED)
    expect(partition.append(batch(identity, 1, 'late')).errorCode).toBe(INVALID_PRODUCER_EPOCH)
  })

  test(`${kind}: a transaction that is left alone is aborted after its timeout`, () => {
    const { transactions, identity } = begin()
    for (const run of timeouts) run()
    happen()
    expect([partition.lastStable, values()]).toEqual([partition.end, []])
    expect(transactions.end('id', identity, true).errorCode).toBe(raisesEpochs ? INVALID_TXN_STATE : PRODUCER_FENCED)
  })
}

test('where epochs are used up another producer id comes', () => {
  const transactions = new CentralTransactions({ raisesEpochs: true, firstEpoch: 32_766, markerMs: () => 1 }, later)
  const first = transactions.initProducerId('id', 30_000)
  transactions.add('id', first, [partition])
  const next = transactions.end('id', first, true)
  expect(next).toMatchObject({ errorCode: NONE, producerEpoch: 0 })
  expect(next.producerId).not.toBe(first.producerId)
})
