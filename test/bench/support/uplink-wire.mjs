// Bytes on the wire for a backlog of the profile env, beside Kafka's producer with the same records, codec and batch size.
import { startWithBacklog } from './backlog-gateway.mjs'
import { copyTopic } from './java-peers.mjs'

const atMostOverJava = 1.1

export const wire = async (central, { records, settings, link }) => {
  const gateway = await startWithBacklog(link.address, Math.min(records, 200_000), { settings })
  const sentBy = async work => {
    const before = link.passedBytes.up
    await work()
    return link.passedBytes.up - before
  }
  try {
    const own = await sentBy(() => gateway.drain())
    await central.createTopic('copy', 4)
    const properties = { 'batch.size': 524_288, 'compression.type': 'zstd', 'linger.ms': 20 }
    const java = await sentBy(() =>
      copyTopic(central.bootstrap, 'sensors', link.address, 'copy', gateway.stored, properties),
    )
    const rows = [
      { what: 'uplink', bytes: own, 'bytes/record': own / gateway.stored },
      { what: "Kafka's producer", bytes: java, 'bytes/record': java / gateway.stored },
    ]
    return {
      rows,
      checks: [{ name: "bytes on the wire over those of Kafka's producer", value: own / java, atMost: atMostOverJava }],
    }
  } finally {
    await gateway.end()
  }
}
