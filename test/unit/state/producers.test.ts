import { describe, expect, it } from 'vitest'
import { groupNumber, partitionId } from '../../../src/core/brand.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { type ProducerBatch, ProducersView } from '../../../src/state/producers.ts'
import { MemoryStateLog } from '../../support/memory-state-log.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const partition = partitionId(40)
const expirySeconds = 100
const open = (metrics = new Metrics()): ProducersView => new ProducersView(metrics, expirySeconds)
const stateLog = (): MemoryStateLog => new MemoryStateLog(new VirtualClock())

const batch = (baseSequence: number, count = 1, epoch = 0, producerId = 7): ProducerBatch => ({
  producerId,
  epoch,
  baseSequence,
  count,
})

/** Check and append as the broker does: the offset, or what it was refused with. */
const produce = (view: ProducersView, next: ProducerBatch, offset: number, group = offset): number | string => {
  try {
    const duplicate = view.check(partition, next)
    if (duplicate !== undefined) return duplicate.baseOffset
    view.appended(partition, next, offset, 0, groupNumber(group))
    return offset
  } catch (error) {
    if (error instanceof BrokerError) return error.kind
    throw error
  }
}

/** What another start makes of everything that was written. */
const restarted = (log: MemoryStateLog, logEnd = 2 ** 50): ProducersView => {
  const view = open()
  log.replayTo(view)
  view.replayed(() => logEnd, 0)
  return view
}

describe('the window of a producer (KIP-98)', () => {
  it('answers repeats of the last five batches with their offsets, older ones not', () => {
    const view = open()
    for (let sequence = 0; sequence < 6; sequence++)
      expect(produce(view, batch(sequence), 100 + sequence)).toBe(100 + sequence)
    for (let sequence = 1; sequence < 6; sequence++) expect(produce(view, batch(sequence), 900)).toBe(100 + sequence)
    expect(produce(view, batch(0), 900)).toBe('outOfOrderSequence')
    expect(produce(view, batch(6), 106)).toBe(106)
  })

  it('takes only an exact repeat for one', () => {
    const view = open()
    produce(view, batch(0, 5), 10)
    expect(produce(view, batch(0, 4), 900)).toBe('outOfOrderSequence')
    expect(produce(view, batch(1, 4), 900)).toBe('outOfOrderSequence')
    expect(produce(view, batch(0, 5), 900)).toBe(10)
  })

  it('refuses a gap, and takes what was due after it', () => {
    const view = open()
    produce(view, batch(0, 3), 10)
    expect(produce(view, batch(4), 13)).toBe('outOfOrderSequence')
    expect(produce(view, batch(3), 13)).toBe(13)
  })

  it('wraps from 2147483647 to 0, also within a batch', () => {
    const view = open()
    expect(produce(view, batch(2 ** 31 - 2, 1), 10)).toBe(10)
    expect(produce(view, batch(2 ** 31 - 1, 3), 11)).toBe(11)
    expect(produce(view, batch(2 ** 31 - 1, 3), 900)).toBe(11)
    expect(produce(view, batch(2), 14)).toBe(14)
    const other = open()
    produce(other, batch(2 ** 31 - 1), 1)
    expect(produce(other, batch(1), 2)).toBe('outOfOrderSequence')
    expect(produce(other, batch(0), 2)).toBe(2)
  })

  it('takes any first sequence from a producer that it does not know', () => {
    expect(produce(open(), batch(500), 3)).toBe(3)
  })

  it('starts a new epoch at 0 and fences the one before', () => {
    const view = open()
    produce(view, batch(0), 1)
    expect(produce(view, batch(1, 1, 1), 2)).toBe('outOfOrderSequence')
    expect(produce(view, batch(0, 1, 1), 2)).toBe(2)
    expect(produce(view, batch(1, 1, 0), 3)).toBe('invalidProducerEpoch')
    expect(produce(view, batch(0, 1, 1), 3)).toBe(2)
    expect(produce(view, batch(1, 1, 1), 3)).toBe(3)
  })

  it('keeps partitions and producers apart', () => {
    const view = open()
    produce(view, batch(0), 1)
    expect(produce(view, batch(0, 1, 0, 8), 2)).toBe(2)
    expect(view.check(partitionId(41), batch(9))).toBeUndefined()
  })

  it('lets a repeat wait for the group of its original or a later one', () => {
    const view = open()
    produce(view, batch(0), 1, 50)
    produce(view, batch(1), 2, 51)
    const { group } = view.check(partition, batch(0))!
    expect(group).toBeGreaterThanOrEqual(50)
    expect(view.check(partition, batch(1))).toEqual({ baseOffset: 2, group: 51 })
  })
})

describe('over a restart', () => {
  it('knows the whole window from what was flushed and the headers after it', () => {
    const log = stateLog()
    const view = open()
    for (let sequence = 0; sequence < 4; sequence++) produce(view, batch(sequence), sequence)
    view.flush(log)
    const again = restarted(log)
    // the headers that recovery shows begin somewhere before the flush
    for (let sequence = 2; sequence < 7; sequence++) again.appended(partition, batch(sequence), sequence, 0)
    for (let sequence = 2; sequence < 7; sequence++) expect(produce(again, batch(sequence), 900)).toBe(sequence)
    expect(again.check(partition, batch(6))!.group).toBeUndefined()
    expect(produce(again, batch(1), 900)).toBe('outOfOrderSequence')
    expect(produce(again, batch(7), 7)).toBe(7)
  })

  it('keeps what could not be flushed for the next time', () => {
    const log = stateLog()
    const view = open()
    produce(view, batch(0), 5)
    log.full = true
    expect(() => view.flush(log)).toThrow(/no slot/)
    log.full = false
    view.flush(log)
    const writes = log.writes
    view.flush(log)
    expect(log.writes).toBe(writes)
    expect(produce(restarted(log), batch(0), 900)).toBe(5)
  })

  it('forgets batches that the log has lost: they come again', () => {
    const log = stateLog()
    const view = open()
    produce(view, batch(0), 10)
    produce(view, batch(1), 11)
    view.flush(log)
    const again = restarted(log, 11)
    expect(produce(again, batch(0), 900)).toBe(10)
    expect(produce(again, batch(1), 11)).toBe(11)
    expect(produce(again, batch(2), 12)).toBe(12)
  })

  it('is the same from its entries', () => {
    const view = open()
    for (let producerId = 0; producerId < 300; producerId++) produce(view, batch(0, 3, 1, producerId), producerId * 3)
    const copy = open()
    for (const { key, value } of view.entries()) copy.apply(key, value)
    expect([...copy.entries()]).toEqual([...view.entries()])
  })
})

describe('producer ids', () => {
  const allocate = (view: ProducersView, log: MemoryStateLog): number => {
    const reservation = view.reservation()
    if (reservation !== undefined) log.write([reservation])
    return view.takeProducerId()
  }

  it('are never given twice, also not after a crash', () => {
    const log = stateLog()
    const given = new Set<number>()
    let view = open()
    view.replayed(() => undefined, 0)
    for (let life = 0; life < 5; life++) {
      for (let count = 0; count < 700; count++) {
        const id = allocate(view, log)
        expect(given.has(id)).toBe(false)
        given.add(id)
      }
      view = restarted(log)
    }
  })

  it('are not given while their block cannot be reserved', () => {
    const log = stateLog()
    const view = open()
    log.full = true
    expect(() => allocate(view, log)).toThrow(/no slot/)
    expect(() => view.takeProducerId()).toThrow(/reserved/)
    log.full = false
    const first = allocate(view, log)
    expect(allocate(restarted(log), log)).toBeGreaterThan(first)
  })
})

describe('bounds', () => {
  it('expires who was silent too long, in pieces, for good', () => {
    const log = stateLog()
    const view = open()
    for (let id = 0; id < 450; id++) view.appended(partition, batch(0, 1, 0, id), id, id < 449 ? 0 : 50)
    view.flush(log)
    expect(view.expired(expirySeconds - 1)).toEqual([])
    let pieces = 0
    for (
      let changes = view.expired(expirySeconds);
      changes.length > 0;
      changes = view.expired(expirySeconds), pieces++
    ) {
      log.write(changes)
    }
    expect(pieces).toBeGreaterThan(1)
    for (const each of [view, restarted(log)]) {
      expect([...each.entries()]).toHaveLength(2)
      expect(each.check(partition, batch(0, 1, 0, 449))!.baseOffset).toBe(449)
    }
  })

  it('drops the longest silent producer of too many, and counts it', () => {
    const metrics = new Metrics()
    const view = open(metrics)
    for (let id = 0; id < 16_384; id++) view.appended(partition, batch(0, 1, 0, id), id, 0)
    view.appended(partition, batch(1, 1, 0, 0), 16_384, 0)
    expect(metrics.count('producersDropped')).toBe(0)
    view.appended(partition, batch(0, 1, 0, 99_999), 16_385, 0)
    expect(metrics.count('producersDropped')).toBe(1)
    expect(view.check(partition, batch(0, 1, 0, 1))).toBeUndefined()
    expect(view.check(partition, batch(0, 1, 0, 0))!.baseOffset).toBe(0)
  })

  it('asks for a flush before that becomes long work', () => {
    const view = open()
    const log = stateLog()
    for (let id = 0; id < 1000; id++) view.appended(partition, batch(0, 1, 0, id), id, 0)
    expect(view.needsFlush).toBe(true)
    view.flush(log)
    expect(view.needsFlush).toBe(false)
    expect(log.writes).toBe(5)
  })

  it('goes with its partition', () => {
    const log = stateLog()
    const view = open()
    produce(view, batch(0), 1)
    log.write(view.partitionRemoved(partition))
    expect(view.check(partition, batch(0))).toBeUndefined()
  })
})
