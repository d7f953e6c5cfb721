import { expect, it } from 'vitest'
import { GroupCoordinator } from '../../../../src/broker/groups/coordinator.ts'
import { defaultGroupSettings } from '../../../../src/broker/groups/settings.ts'
import { Metrics } from '../../../../src/core/metrics.ts'
import { GroupsView } from '../../../../src/state/groups.ts'
import { ViewLog } from '../../../../src/state/view-log.ts'
import { countingRandom, protocols, silentLogger } from '../../../support/group-bench.ts'
import { MemoryLog } from '../../../support/memory-log.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

/** A coordinator as the gateway builds it, on the records that `log` holds. */
async function start(log: MemoryLog, clock: VirtualClock) {
  const view = new GroupsView()
  const metrics = new Metrics()
  const store = {
    get: () => undefined,
    entries: () => [],
    write: async () => undefined,
    usedBytes: () => 0,
    close: async () => undefined,
  }
  const stateLog = await ViewLog.open({ log, store, logger: silentLogger, metrics }, [view])
  const settings = { ...defaultGroupSettings, initialRebalanceDelayMs: 0 }
  return new GroupCoordinator({
    clock,
    random: countingRandom(),
    settings,
    metrics,
    logger: silentLogger,
    stateLog,
    view,
  })
}

it('members, assignments and offsets come back from the records of the real state log', async () => {
  const log = new MemoryLog()
  const clock = new VirtualClock()
  const before = await start(log, clock)
  const joining = before.join({
    groupId: 'g',
    memberId: '',
    groupInstanceId: 'static',
    clientId: 'app',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 30_000,
    protocolType: 'consumer',
    protocols: protocols('range'),
    needsKnownMemberId: true,
    knowsSkipAssignment: true,
  })
  await clock.advance(0)
  const { memberId, generation } = await joining
  const identity = { groupId: 'g', memberId, groupInstanceId: 'static', generation }
  const assignments = [{ memberId, assignment: Buffer.from('mine') }]
  await before.sync({ ...identity, protocolType: null, protocolName: null, assignments })
  const offsets = [
    { topic: 't', partition: 0, offset: 41, leaderEpoch: 2, metadata: null },
    { topic: 't', partition: 1, offset: 2 ** 40, leaderEpoch: -1, metadata: 'note' },
  ]
  await before.commit({ ...identity, offsets: offsets.map(commit => ({ ...commit, offset: 1 })) })
  await before.commit({ ...identity, offsets })
  const shown = await before.describe('g')
  before.stop()

  const after = await start(log, clock)
  expect(await after.describe('g')).toEqual(shown)
  expect(shown).toMatchObject({ state: 'Stable', members: [{ memberId, assignment: Buffer.from('mine') }] })
  expect([...after.committedOffsets('g')]).toEqual(offsets)
  expect(() => after.heartbeat(identity)).not.toThrow()
  after.leave({ groupId: 'g', members: [{ memberId, groupInstanceId: 'static' }] })
  expect(await after.delete(['g'])).toEqual([undefined])
  after.stop()

  const last = await start(log, clock)
  expect(await last.list()).toEqual([])
  last.stop()
})
