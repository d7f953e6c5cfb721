import { expect, it } from 'vitest'
import { ZERO_UUID } from '../../../src/core/uuid.ts'
import type { UpstreamPosition } from '../../../src/state/uplink.ts'
import { judge, type PartitionFacts, type TargetFacts } from '../../../src/uplink/audit-equations.ts'
import { emptyLedger } from '../../../src/uplink/ledger.ts'

const day = 86_400_000
const topicId = 'a'.repeat(32)
const targetId = 'b'.repeat(32)

/** 100 offsets: 90 records stand upstream at 20 to 120, 10 were skipped. */
const position: UpstreamPosition = {
  topicId,
  last: 99,
  records: 90,
  unsent: { skipped: 10 },
  target: 't',
  targetId,
  central: { 3: { first: 20, last: 120, records: 90 } },
  elsewhere: { renamed: 0, remade: 0 },
  starts: [{ incarnation: 'c'.repeat(16), from: 0 }],
}
const target = (changes: Partial<TargetFacts> = {}, logStart = 0, logEnd = 121): TargetFacts => ({
  id: targetId,
  offsets: new Map([[3, { logStart, logEnd }]]),
  retention: { deletes: true, compacts: false, ms: 7 * day, bytes: -1 },
  ...changes,
})
const sound: PartitionFacts = {
  topicId,
  highWatermark: 130,
  track: { next: 100, ahead: [] },
  ledger: position,
  position,
  target: target(),
  oldestAgeMs: day,
}
const at = (changes: Partial<UpstreamPosition>): UpstreamPosition => ({ ...position, ...changes })

const explained: readonly { what: string; facts: Partial<PartitionFacts>; note?: RegExp }[] = [
  { what: 'all of it is where it should be', facts: {} },
  {
    what: 'nothing was sent yet',
    facts: { track: { next: 0, ahead: [] }, ledger: emptyLedger, position: undefined, target: undefined },
  },
  {
    what: 'the log that this one was restored from brought up what is upstream',
    facts: { ledger: { ...emptyLedger, unsent: { parent: 100 } }, position: undefined, target: undefined },
  },
  {
    what: 'rounds were committed while the cluster was asked',
    facts: {
      track: { next: 40, ahead: [] },
      ledger: at({ records: 30, central: { 3: { first: 20, last: 60, records: 30 } } }),
    },
  },
  {
    what: 'the position is of an earlier topic of this name',
    facts: { track: { next: 0, ahead: [] }, ledger: emptyLedger, position: at({ topicId: 'd'.repeat(32), last: 900 }) },
  },
  {
    what: 'retention took old records',
    facts: { target: target({}, 50), oldestAgeMs: 8 * day },
    note: /up to 30 of 90 .* \(retention\.ms=604800000 there\)/,
  },
  {
    what: 'retention took them, and here they are gone too',
    facts: { target: target({}, 50), oldestAgeMs: undefined },
    note: /retention\.ms/,
  },
  {
    what: 'a limit of bytes took young records',
    facts: { target: target({ retention: { deletes: true, compacts: false, ms: -1, bytes: 1000 } }, 50) },
    note: /retention\.bytes=1000/,
  },
  {
    what: 'what keeps them upstream may not be read',
    facts: { target: target({ retention: undefined }, 50) },
    note: /cannot be read/,
  },
  {
    what: 'the settings named another topic before',
    facts: {
      position: at({ elsewhere: { renamed: 40, remade: 0 }, central: { 3: { first: 20, last: 120, records: 50 } } }),
    },
    note: /40 records went to topics that earlier settings named/,
  },
  { what: 'a cluster without topic ids', facts: { target: target({ id: ZERO_UUID }) } },
]

it.each(explained)('explained: $what', ({ facts, note }) => {
  const { notes, unexplained, losses } = judge({ ...sound, ...balanced(facts) })
  expect([unexplained, losses]).toEqual([[], []])
  expect(notes).toEqual(note === undefined ? [] : [expect.stringMatching(note)])
})

const unexplained: readonly { what: string; facts: Partial<PartitionFacts>; says: RegExp }[] = [
  {
    what: 'offsets that were neither sent nor have a reason',
    facts: { position: at({ last: 104 }) },
    says: /of 105 offsets 90 were sent, and 5 have no reason/,
  },
  { what: 'more than there can be', facts: { position: at({ unsent: { skipped: 12 } }) }, says: /2 too many have one/ },
  {
    what: 'the same of what the gateway knows itself',
    facts: { ledger: at({ unsent: {} }) },
    says: /^here: of 100 offsets 90 were sent, and 10 have no reason/,
  },
  {
    what: 'records that went nowhere',
    facts: { position: at({ central: { 3: { first: 20, last: 120, records: 80 } } }) },
    says: /90 records were sent, but 80 have a place/,
  },
  {
    what: 'the topic of positions was deleted',
    facts: { position: undefined, target: undefined },
    says: /90 records were acknowledged, but the topic of positions has no position/,
  },
  {
    what: 'the topic of positions went back (unclean election)',
    facts: { position: at({ last: 89, records: 80, central: { 3: { first: 20, last: 110, records: 80 } } }) },
    says: /says 80: it went back/,
  },
  {
    what: 'the position lies beyond the end of the log',
    facts: { highWatermark: 95 },
    says: /topic of positions says 99, but the log ends before 95/,
  },
  { what: 'the topic upstream was deleted', facts: { target: undefined }, says: /topic t is not there: 90 records/ },
  {
    what: 'it was made anew, and has grown past the position',
    facts: { target: target({ id: 'e'.repeat(32) }, 0, 5000) },
    says: /deleted upstream and made again: 90 records/,
  },
  {
    what: 'it was made anew before the last rounds',
    facts: {
      position: at({ elsewhere: { renamed: 0, remade: 40 }, central: { 3: { first: 20, last: 120, records: 50 } } }),
    },
    says: /40 records went to an earlier target that is gone/,
  },
  {
    what: 'its partition is shorter (unclean election, or made anew without ids)',
    facts: { target: target({}, 0, 120) },
    says: /ends before 120 upstream, but 120 was acknowledged/,
  },
  {
    what: 'a partition is gone',
    facts: { target: target({ offsets: new Map() }) },
    says: /partition 3 of t is not there/,
  },
  {
    what: 'young records were deleted',
    facts: { target: target({}, 50) },
    says: /begins at 50 upstream: up to 30 of 90 records have left it, and not by its retention/,
  },
  {
    what: 'records that are kept for ever were deleted',
    facts: {
      target: target({ retention: { deletes: true, compacts: false, ms: -1, bytes: -1 } }, 500),
      oldestAgeMs: undefined,
    },
    says: /up to 90 of 90/,
  },
  {
    what: 'a compacted topic begins later',
    facts: {
      target: target({ retention: { deletes: false, compacts: true, ms: 7 * day, bytes: -1 } }, 21),
      oldestAgeMs: undefined,
    },
    says: /not by its retention/,
  },
]

it.each(unexplained)('unexplained: $what', ({ facts, says }) => {
  const { unexplained, losses } = judge({ ...sound, ...facts })
  expect([...unexplained, ...losses.map(({ text }) => text)]).toContainEqual(expect.stringMatching(says))
})

it('a target that is gone is one loss, whatever was sent to the next one', () => {
  const remade = at({ elsewhere: { renamed: 0, remade: 40 }, central: { 3: { first: 20, last: 120, records: 50 } } })
  const lossOf = (facts: Partial<PartitionFacts>) =>
    judge({ ...sound, ...facts }).losses.map(({ name, records }) => [name, records])
  expect(lossOf({ target: undefined })).toEqual([['target', 90]])
  expect(lossOf({ position: remade })).toEqual([['target', 40]])
  expect(lossOf({ position: remade, target: undefined })).toEqual([['target', 90]])
})

it('what a partition lost is another loss once its topic was made again', () => {
  const lossOf = (id: string) =>
    judge({ ...sound, position: at({ targetId: id }), target: target({ id }, 50) }).losses.map(({ name, records }) => [
      name,
      records,
    ])
  expect([...lossOf('1'.repeat(32)), ...lossOf('2'.repeat(32))]).toEqual([
    [`start/${'1'.repeat(32)}/3`, 30],
    [`start/${'2'.repeat(32)}/3`, 30],
  ])
})

it('an end that is lost is another loss once more had gone up behind it', () => {
  const lossOf = (last: number) =>
    judge({
      ...sound,
      ...balanced({ position: at({ central: { 3: { first: 20, last, records: 90 } } }) }),
      target: target({}, 0, last - 9),
    }).losses
  const [before, after] = [lossOf(120), lossOf(200)]
  expect([...before, ...after].map(({ records }) => records)).toEqual([10, 10])
  expect(before[0]!.name).not.toBe(after[0]!.name)
  expect(lossOf(120)).toEqual(before)
})

/** A ledger that knows less than the position has passed fewer offsets. */
const balanced = (facts: Partial<PartitionFacts>): Partial<PartitionFacts> =>
  facts.ledger === undefined && facts.position !== undefined ? { ...facts, ledger: facts.position } : facts
