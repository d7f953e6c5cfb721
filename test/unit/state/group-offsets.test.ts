import { expect, it } from 'vitest'
import { MalformedFrame } from '../../../src/core/malformed-frame.ts'
import { decodeGroupMetadata, type GroupMetadata } from '../../../src/state/group-metadata.ts'
import { decodeOffset, encodeOffset, offsetKey } from '../../../src/state/group-offsets.ts'
import { GroupsView } from '../../../src/state/groups.ts'

it('offset records have exactly these bytes', () => {
  expect(offsetKey('grp', 'tö', 300).toString('hex')).toBe('02' + '03677270' + '0374c3b6' + 'ac02')
  const value = { offset: 1000, leaderEpoch: -1, logAge: 300, metadata: 'hi' }
  expect(encodeOffset(value).toString('hex')).toBe('01' + 'd00f' + '01' + 'ac02' + '036869')
  expect(encodeOffset({ ...value, metadata: null }).toString('hex')).toBe('01' + 'd00f' + '01' + 'ac02' + '00')
})

it.each([
  { offset: 0, leaderEpoch: 0, logAge: 0, metadata: null },
  { offset: -1, leaderEpoch: -1, logAge: 1, metadata: '' },
  { offset: Number.MAX_SAFE_INTEGER, leaderEpoch: 2 ** 31 - 1, logAge: 2 ** 32 - 1, metadata: 'x'.repeat(4096) },
  { offset: Number.MIN_SAFE_INTEGER, leaderEpoch: -(2 ** 31), logAge: 5, metadata: '\u{1f33f}\0' },
])('round trip of %j', value => {
  expect(decodeOffset(encodeOffset(value))).toEqual(value)
})

it('refuses bytes that are no offset', () => {
  expect(() => decodeOffset(Buffer.from('02', 'hex'))).toThrow(MalformedFrame)
  expect(() => decodeOffset(Buffer.alloc(0))).toThrow(MalformedFrame)
  expect(() => decodeOffset(Buffer.from('010000000a', 'hex'))).toThrow(MalformedFrame)
})

const metadata: GroupMetadata = {
  generation: 4,
  protocolType: 'consumer',
  protocolName: 'range',
  leader: 'm',
  since: 12,
  members: [
    {
      memberId: 'm',
      groupInstanceId: null,
      clientId: 'c',
      clientHost: '/::1',
      sessionTimeoutMs: 45_000,
      rebalanceTimeoutMs: 300_000,
      subscription: Buffer.from([0, 1, 2]),
      assignment: Buffer.alloc(0),
    },
  ],
}

it('the view is rebuilt from its own entries, in any order and twice', () => {
  const view = new GroupsView()
  const apply = ({ key, value }: { key: Buffer; value: Buffer | null }) => view.apply(key, value)
  const committed = { offset: 5, leaderEpoch: 1, logAge: 9, metadata: 'note' }
  apply(view.putMetadata('g', metadata))
  for (const partition of [0, 1, 200]) apply(view.putOffset('g', 't', partition, committed))
  apply(view.putOffset('other', 't', 0, committed))
  apply(view.putOffset('other', 't', 0, { ...committed, offset: 6 }))
  apply(view.removeOffset('g', 't', 1))
  apply(view.removeMetadata('none'))

  const again = new GroupsView()
  const entries = [...view.entries()]
  expect(entries).toHaveLength(4)
  for (const { key, value } of [...entries.reverse(), ...entries]) again.apply(key, value)
  expect([...again.groups()]).toEqual([{ groupId: 'g', metadata }])
  expect(again.offsets.get('g', 't', 200)).toEqual(committed)
  expect(again.offsets.get('g', 't', 1)).toBeUndefined()
  expect(again.offsets.get('other', 't', 0)!.offset).toBe(6)
  expect(again.offsets.bytes).toBe(view.offsets.bytes)

  for (const groupId of ['g', 'other']) {
    for (const partition of [0, 200]) again.apply(again.removeOffset(groupId, 't', partition).key, null)
  }
  expect(again.offsets.bytes).toBe(0)
  expect([...again.offsets.groups()]).toEqual([])
  again.clear()
  expect([...again.entries()]).toEqual([])
})

it('keeps copies of values, which may be pieces of large batches', () => {
  const view = new GroupsView()
  const { key, value } = view.putMetadata('g', metadata)
  const batch = Buffer.from(value!)
  view.apply(key, batch)
  batch.fill(0)
  expect([...view.groups()][0]!.metadata).toEqual(metadata)
  expect(decodeGroupMetadata(value!)).toEqual(metadata)
})
