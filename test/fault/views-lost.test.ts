import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, open, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { connectAsync } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { offsetCommit } from '../../src/wire/kafka/contracts/index.ts'
import { Gateway } from '../support/gateway.ts'
import { KafkaTestClient } from '../support/kafka-test-client.ts'
import { SimRandom } from '../support/sim/random.ts'

// views/ of a real gateway is lost or damaged: its next start gets there at the first try, with everything

let directory = ''
let file = ''
const gateways: Gateway[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-views-'))
  file = join(directory, 'views/data.mdb')
})
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.dispose()
  await rm(directory, { recursive: true, force: true })
})

const start = async (dataDirectory = directory): Promise<Gateway> => {
  const gateway = await Gateway.start({ dataDirectory })
  gateways.push(gateway)
  return gateway
}

const kafka = (gateway: Gateway): Kafka =>
  new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING, retry: { retries: 3 } })

/** Topics with a config, records, retained publishes and committed offsets. */
const fill = async (gateway: Gateway, mark: string): Promise<void> => {
  const device = await connectAsync(gateway.mqttUrl)
  await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      device.publishAsync(`kept/${index}`, `${mark}-${index}`, { qos: 1, retain: index % 2 === 0 }),
    ),
  )
  await device.endAsync()
  const admin = kafka(gateway).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: mark, numPartitions: 3 }] })
  await admin.disconnect()
  const client = await KafkaTestClient.connect(Number(gateway.addresses.kafka.split(':').at(-1)))
  const committed = { partitionIndex: 0, committedOffset: 7, committedMetadata: mark }
  const { topics } = await client.request(offsetCommit, 8, {
    groupId: 'readers',
    memberId: '',
    topics: [{ name: 'kept', partitions: [committed] }],
  })
  expect(topics[0]!.partitions[0]!.errorCode).toBe(0)
  client.destroy()
}

const stateOf = async (gateway: Gateway) => {
  const admin = kafka(gateway).admin()
  await admin.connect()
  const topics = (await admin.fetchTopicMetadata()).topics.map(({ name, partitions }) => `${name}/${partitions.length}`)
  const offsets = await admin.fetchTopicOffsets('kept')
  const committed = await admin.fetchOffsets({ groupId: 'readers', topics: ['kept'] })
  await admin.disconnect()
  const client = await connectAsync(gateway.mqttUrl)
  const retained = new Map<string, string>()
  client.on('message', (topic, payload) => retained.set(topic, String(payload)))
  await client.subscribeAsync('kept/#', { qos: 1 })
  await expect.poll(() => retained.size).toBe(100)
  await client.endAsync()
  return { topics: topics.sort(), offsets, committed, retained: [...retained].sort() }
}

const overwrite = async (bytes: Buffer, position: number): Promise<void> => {
  const handle = await open(file, 'r+')
  await handle.write(bytes, 0, bytes.length, position)
  await handle.close()
}

const damages: Record<string, () => Promise<void>> = {
  'deleted with its directory': () => rm(join(directory, 'views'), { recursive: true }),
  'of random bytes': async () => writeFile(file, new SimRandom(3).bytes((await stat(file)).size)),
  'of random bytes behind the first two pages': async () => {
    await overwrite(new SimRandom(4).bytes((await stat(file)).size - 8192), 8192)
  },
  'of another gateway': async () => {
    const other = await mkdtemp(join(tmpdir(), 'brooklet-views-other-'))
    try {
      const gateway = await start(other)
      await fill(gateway, 'foreign')
      expect((await gateway.stop()).code).toBe(0)
      await copyFile(join(other, 'views/data.mdb'), file)
    } finally {
      await rm(other, { recursive: true, force: true })
    }
  },
}

/** After a kill the file is looked at in a child process in any case: one damage is enough; more of them in checkpoint-damage.test.ts. */
const cases = {
  stop: Object.keys(damages),
  kill: ['of random bytes'],
}

describe.each(['stop', 'kill'] as const)('after a %s', ending => {
  it.each(cases[ending])('views/data.mdb %s: the first start gets there and shows everything', async damage => {
    const gateway = await start()
    await fill(gateway, 'own')
    const before = await stateOf(gateway)
    expect(before.topics).toHaveLength(2)
    await gateway[ending]()
    await damages[damage]!()
    const again = await start()
    expect(await stateOf(again)).toEqual(before)
    expect((await again.stop()).code, again.stderr).toBe(0)
    const third = await start()
    expect(third.stderr, 'the views are whole again').not.toMatch(/dropped|is rebuilt/)
    expect(await stateOf(third)).toEqual(before)
  })
})

it('damage that no look at the file tells may end one start, never two', async () => {
  const gateway = await start()
  await fill(gateway, 'own')
  const before = await stateOf(gateway)
  await gateway.stop()
  const { atime, mtime, size } = await stat(file)
  await overwrite(new SimRandom(5).bytes(size - 8192), 8192)
  await utimes(file, atime, mtime)
  const again = await start().catch(() => start())
  expect(await stateOf(again)).toEqual(before)
})

const canMount = process.getuid?.() === 0 && process.platform === 'linux'

describe.skipIf(!canMount)('on a file system without any room (needs root to mount one)', () => {
  let mounted = ''
  beforeEach(async () => {
    mounted = join(directory, 'disk')
    await mkdir(mounted)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=420m', 'tmpfs', mounted])
  })
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) await gateway.dispose()
    execFileSync('umount', [mounted])
  })
  const fillUp = async (): Promise<void> => {
    const handle = await open(join(mounted, 'of-others'), 'w')
    const chunk = Buffer.alloc(1 << 16)
    try {
      for (;;) await handle.write(chunk)
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
    } finally {
      await handle.close()
    }
  }

  it.each(['stop', 'kill'] as const)('after a %s: it starts with its views, reads and stops', async ending => {
    const data = join(mounted, 'data')
    const gateway = await start(data)
    await fill(gateway, 'own')
    const before = await stateOf(gateway)
    await gateway[ending]()
    await fillUp()
    const again = await start(data)
    expect(await stateOf(again)).toEqual(before)
    expect((await again.stop()).code, again.stderr).toBe(0)
    await rm(join(mounted, 'of-others'))
    const third = await start(data)
    expect(await stateOf(third)).toEqual(before)
  })

  it('and without views: it starts all the same', async () => {
    const data = join(mounted, 'data')
    const gateway = await start(data)
    await fill(gateway, 'own')
    const before = await stateOf(gateway)
    await gateway.kill()
    await rm(join(data, 'views'), { recursive: true })
    await rm(join(data, 'views.starts'))
    await fillUp()
    const again = await start(data)
    expect(await stateOf(again)).toEqual(before)
    expect(again.stderr).toContain('there are no checkpoints of views')
    expect((await again.stop()).code, again.stderr).toBe(0)
  })
})
