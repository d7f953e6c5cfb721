import { afterEach, beforeEach, expect } from 'vitest'
import {
  callClient,
  type ForeignClient,
  ForeignMember,
  foreignClients,
  requireClient,
} from '../support/foreign-client.ts'
import { Gateway } from '../support/gateway.ts'

/** The same story with every client: admin, an idempotent producer, a group of two, a restart, and where it goes on. */

let gateway: Gateway
let bootstrap = ''
const members: ForeignMember[] = []

beforeEach(async () => {
  gateway = await Gateway.start({
    keepsAddresses: true,
    settings: { 'group.initial.rebalance.delay.ms': '200', 'num.partitions': '1' },
  })
  bootstrap = gateway.addresses.kafka
})

afterEach(async () => {
  for (const member of members.splice(0)) member.kill()
  await gateway.dispose()
})

/** Records that the group has not committed, or has committed nothing of. */
const lag = async (): Promise<number> => {
  const answer = await fetch(`${gateway.httpUrl}/api/v1/groups/app`)
  const { offsets } = (await answer.json()) as { offsets: { lag: number | null; highWatermark: number }[] }
  return offsets.reduce((sum, { lag, highWatermark }) => sum + (lag ?? highWatermark), 0)
}

const numbered = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `v${first + index}`).sort()

const distinct = (values: readonly string[]): string[] => [...new Set(values)].sort()

const join = (client: ForeignClient): ForeignMember => {
  const member = new ForeignMember(client, bootstrap, 'app', 'story')
  members.push(member)
  return member
}

for (const client of foreignClients) {
  const call = (...words: string[]): Promise<string> => callClient(client, bootstrap, ...words)

  requireClient(client)(`${client.name} creates, writes, shares, goes on over a restart, deletes`, async () => {
    expect(await call('create', 'story', '4')).toBe('created')
    expect(await call('describe', 'story')).toBe('partitions 4')
    expect(await call('produce', 'story', '0', '1000')).toBe('produced 1000')

    const first = join(client)
    await first.until('reads what was there', () => first.values.length >= 1000)
    expect(first.values.sort()).toEqual(numbered(0, 1000))
    expect(first.assigned).toEqual([0, 1, 2, 3])

    const second = join(client)
    const areShared = (): boolean => first.assigned?.length === 2 && second.assigned?.length === 2
    await second.until('shares the partitions', areShared)
    expect([...first.assigned!, ...second.assigned!].sort()).toEqual([0, 1, 2, 3])
    const [owned, others] = [first.assigned!, second.assigned!]
    const before = first.records.length
    await call('produce', 'story', '1000', '400')
    await second.until('both read on', () => distinct([...first.values, ...second.values]).length === 1400)
    expect(first.records.slice(before).every(({ partition }) => owned.includes(partition))).toBe(true)
    expect(second.records.every(({ partition }) => others.includes(partition))).toBe(true)

    // kill -9: the group and its offsets are there again
    await gateway.kill()
    await gateway.restart()
    await call('produce', 'story', '1400', '100')
    await second.until('go on after a restart', () => distinct([...first.values, ...second.values]).length === 1500)

    await second.stop()
    await first.until('takes over what the other left', () => first.assigned?.length === 4)
    // what could not be committed while the gateway was away is read and committed again
    await first.until('commits everything', async () => (await lag()) === 0)
    await first.stop()

    await call('produce', 'story', '1500', '50')
    const third = join(client)
    await third.until('goes on where the group was', () => third.values.length >= 50)
    expect(third.values.sort()).toEqual(numbered(1500, 50))
    await third.stop()

    expect(await call('delete', 'story')).toBe('deleted')
    expect(await call('describe', 'story')).toBe('gone')
  })
}

const java = foreignClients.find(({ language }) => language === 'java')!
requireClient(java)("the Java client's Admin does what operators' tools ask for", async () => {
  const call = (...words: string[]): Promise<string> => callClient(java, bootstrap, ...words)
  await call('create', 'story', '4')
  await call('produce', 'story', '0', '100')
  const member = join(java)
  await member.until('reads and commits', async () => member.values.length === 100 && (await lag()) === 0)
  await member.stop()
  const said = (await call('tour', 'story')).split('\n').filter(line => !line.startsWith('newest '))
  expect(said).toEqual([
    'topics [story]',
    'nodes 1',
    'retention.ms 60000',
    'partitions 5',
    'end 25',
    'start 3',
    'groups [app]',
    'group Empty 0',
    'committed 4',
    'forgotten true',
    'groups 0',
    'features {}',
  ])
})
