import { expect, it } from 'vitest'
import { groupNumber } from '../../../src/core/brand.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { appendWithRoom } from '../../../src/kafka/append-room.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

/** A log in which group 5 is open; a sync that is under way ends when the test says so. */
const logWith = (ackableGroup: number) => {
  let synced = (): void => {}
  const sync = new Promise<void>(resolve => {
    synced = resolve
  })
  const broker = {
    ackableGroup: groupNumber(ackableGroup),
    openGroup: groupNumber(5),
    // as in the log: an open group without records waits for nothing
    whenAckable: (group: number) => (group === 5 ? Promise.resolve() : sync),
  }
  return { services: { broker, clock: new VirtualClock() }, synced }
}

/** Refuses until `isFree`, or until somebody tried so often that nobody else gets a turn. */
const appendTo = (log: { isFree: boolean; tries: number }, kind: 'spaceAwaited' | 'memoryFull') => async () => {
  if (++log.tries > 1000) throw new Error('tried again and again without a pause')
  if (!log.isFree) throw new BrokerError(kind, 'no room')
  return 'appended'
}

it.each(['spaceAwaited', 'memoryFull'] as const)(
  '%s: tries again after a pause when nothing is under way',
  async kind => {
    const { services } = logWith(4)
    const log = { isFree: false, tries: 0 }
    const appended = appendWithRoom(appendTo(log, kind), 5000, services)
    await services.clock.advance(100)
    expect(log.tries).toBe(11)
    log.isFree = true
    await services.clock.advance(10)
    expect(await appended).toBe('appended')
  },
)

it('tries again as soon as the sync under way has ended', async () => {
  const { services, synced } = logWith(3)
  const log = { isFree: false, tries: 0 }
  const appended = appendWithRoom(appendTo(log, 'memoryFull'), 5000, services)
  await services.clock.advance(100)
  expect(log.tries).toBe(1)
  log.isFree = true
  synced()
  expect(await appended).toBe('appended')
})

it('gives the reason when the time is over', async () => {
  const { services } = logWith(4)
  const appended = appendWithRoom(appendTo({ isFree: false, tries: 0 }, 'spaceAwaited'), 50, services)
  const refused = expect(appended).rejects.toMatchObject({ kind: 'spaceAwaited' })
  await services.clock.advance(60)
  await refused
})
