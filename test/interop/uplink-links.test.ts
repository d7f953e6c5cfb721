import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { Ledger, profileNamed, type Receipt, receiptOf, runFleet } from '../../firmware-sim/index.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { ApacheKafka, missingApacheKafka, testWithApacheKafka } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { LinkNamespace, missingLinkNamespace } from '../support/link-namespace.ts'
import { type LinkProfile, linkProfiles } from '../support/link-profiles.ts'
import { skipBecause } from '../support/tools.ts'

/** Kinds of links to real Apache Kafka: every reading that a device of the simulator had acknowledged is read upstream, once and in order. */

/** Of each kind of link; `npm run soak -- links` has an hour's. */
const readings = Number(process.env['READINGS'] ?? 1_500)
const devices = 10
/** A few hundred readings a second over each link, however many they are. */
const loadMs = Math.max(5_000, readings * 3)
/** Time for all of them over 50 kbit/s, several times over. */
const patienceMs = 60_000 + readings * 20
const names = Object.keys(linkProfiles) as (keyof typeof linkProfiles)[]

const lacksKafka = missingApacheKafka() !== undefined
const lacksNamespace = missingLinkNamespace()
let kafka: ApacheKafka
let central: Cluster
let links: Map<string, FaultProxy>
let namespace: LinkNamespace | undefined

let made = 0
/** What an earlier try of the same test did not have: its readings are in the cluster. */
const freshName = (name: string): string => `${name}_${made++}`

const listenerOf = (name: string): string => `LINK${names.indexOf(name as keyof typeof linkProfiles)}`

beforeAll(async () => {
  if (lacksKafka) return
  if (lacksNamespace === undefined) namespace = LinkNamespace.create()
  links = new Map(await Promise.all(names.map(async name => [name, await FaultProxy.start(0)] as const)))
  const proxied = names.map(
    name => [listenerOf(name), { protocol: 'PLAINTEXT', advertised: [links.get(name)!.address] }] as const,
  )
  const packets = namespace === undefined ? {} : { PACKETS: { protocol: 'PLAINTEXT', host: namespace.host } as const }
  kafka = await ApacheKafka.start({ listeners: { ...Object.fromEntries(proxied), ...packets } })
  for (const [name, link] of links) link.targetPort = Number(kafka.bootstrapOf(listenerOf(name)).split(':')[1])
  central = openCentral(kafka.bootstrap)
}, patienceMs)

afterAll(async () => {
  central?.close()
  await kafka?.close()
  for (const link of links?.values() ?? []) await link.close()
  namespace?.remove()
})

const settingsOf = (name: string, bootstrap: string): Readonly<Record<string, string>> => ({
  'gateway.id': name,
  'uplink.bootstrap.servers': bootstrap,
  'uplink.rename': '{gateway}.{topic}',
  'uplink.request.timeout.ms': '5s',
  'uplink.retry.backoff.ms': '100',
  'uplink.retry.backoff.max.ms': '1s',
})

const readingsPerSecond = readings / devices / (loadMs / 1000)

const fleet = (url: string): Promise<Ledger> =>
  runFleet({
    url,
    members: [{ profile: profileNamed('env')!, count: devices }],
    readingsPerSecond,
    seed: 7,
    durationMs: loadMs,
  })

/** The same as a program of its own, in the gateway's network. */
const fleetInside = async ({ prefix }: LinkNamespace, gateway: Gateway): Promise<Ledger> => {
  const file = join(gateway.dataDirectory, 'ledger.json')
  const options = { count: devices, rate: readingsPerSecond, seed: 7, duration: `${loadMs}ms`, ledger: file }
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  const { code, stderr } = await runBrooklet(['sim', '--url', gateway.mqttUrl, ...words], {
    prefix,
    timeoutMs: patienceMs,
  })
  if (code !== 0) throw new Error(`brooklet sim: ${stderr}`)
  return Ledger.fromJSON(JSON.parse(await readFile(file, 'utf8')))
}

/** What committed readers have of a topic, once it is as much as the devices had acknowledged; what comes too often shows then. */
const receiptsOf = async (topic: string, ledger: Ledger): Promise<Receipt[]> => {
  const endMs = Date.now() + patienceMs
  const { acked } = ledger.totals()
  let records: CommittedRecords | undefined
  while ((records?.count ?? 0) < acked && Date.now() < endMs) {
    await sleep(200)
    // the topic may not be there yet, or without a leader
    records ??= await CommittedRecords.of(central, topic).catch(() => undefined)
    await records?.readOn().catch(() => undefined)
  }
  const values = records?.partitions.flat() ?? []
  return values.map(({ key, value }) => receiptOf(String(key), value!)!)
}

const expectClean = (ledger: Ledger, receipts: readonly Receipt[]): void => {
  const found = ledger.compare(receipts)
  expect(found).toMatchObject({ isClean: true, missingAcked: 0, permittedDuplicates: 0, examples: [] })
  expect(ledger.totals().acked).toBeGreaterThan(readings * 0.9)
}

describe.concurrent('the uplink over a link', { timeout: 2 * patienceMs }, () => {
  for (const name of names) {
    testWithApacheKafka(name, async () => {
      const profile: LinkProfile = linkProfiles[name]
      const proxy = links.get(name)!
      const id = freshName(name.replace(/\W/g, '_'))
      proxy.restore()
      proxy.link = profile.link
      const gateway = await Gateway.start({ settings: settingsOf(id, proxy.address) })
      const ending = new AbortController()
      const trouble = profile.trouble?.(proxy, ending.signal)
      try {
        const ledger = await fleet(`mqtt://${gateway.addresses.mqtt}`)
        ending.abort()
        await trouble
        expectClean(ledger, await receiptsOf(`${id}.sensors`, ledger))
      } finally {
        ending.abort()
        await trouble
        await gateway.dispose()
      }
    })
  }

  const testWithPackets = lacksKafka ? testWithApacheKafka : skipBecause(lacksNamespace)
  testWithPackets(
    'packets: a backlog over 50 kbit/s, through a black hole, without a restart and without a new publish',
    async () => {
      const link = namespace!
      link.blackHole()
      const id = freshName('packets')
      const settings = settingsOf(id, kafka.bootstrapOf('PACKETS'))
      const gateway = await Gateway.start({ settings, prefix: link.prefix })
      try {
        const ledger = await fleetInside(link, gateway)
        link.limit(50_000)
        const received = receiptsOf(`${id}.sensors`, ledger)
        await sleep(3_000)
        link.blackHole()
        await sleep(6_000)
        link.limit(50_000)
        expectClean(ledger, await received)
      } finally {
        await gateway.dispose()
      }
    },
  )
})
