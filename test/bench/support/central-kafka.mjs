// The central cluster of the uplink's benches: one broker of Apache Kafka 4.3.1 on core 0, as its own scripts start it (G1, both compilers).
import { loadParts } from './bundle.mjs'

export const centralCore = '0'

const parts = {
  ApacheKafka: 'test/support/apache-kafka.ts',
  missingApacheKafka: 'test/support/apache-kafka.ts',
  openCentral: 'test/support/central-records.ts',
  createTopic: 'src/client/topic-admin.ts',
  latestOffset: 'src/client/partition-offsets.ts',
  offsetFor: 'src/client/partition-offsets.ts',
  FaultProxy: 'test/support/fault-proxy.ts',
}

/** A skip that says what is missing, or what the bench needs: `{ start, FaultProxy }`. */
export const loadCentral = async () => {
  const { ApacheKafka, missingApacheKafka, openCentral, createTopic, latestOffset, offsetFor, FaultProxy } =
    await loadParts(parts)

  /** `listeners` as in `ApacheKafka`. */
  const start = async (listeners = {}) => {
    const kafka = await ApacheKafka.start({
      prefix: ['taskset', '-c', centralCore],
      heapMegabytes: 1024,
      javaOptions: ['-XX:-UseSerialGC', '-XX:+UseG1GC', '-XX:TieredStopAtLevel=4'],
      settings: { 'auto.create.topics.enable': 'false' },
      listeners,
    })
    const client = openCentral(kafka.bootstrap)
    return {
      bootstrap: kafka.bootstrap,
      bootstrapOf: name => kafka.bootstrapOf(name),
      createTopic: (name, partitions) =>
        createTopic(client, { name, partitions, replicationFactor: 1, configs: new Map() }),
      /** Offsets that the topic has given, markers of transactions included. */
      async endOffsets(topic) {
        const { partitions } = await client.topic(topic, { refresh: true })
        const ends = partitions.map((_, partition) => offsetFor(client, { topic, partition }, latestOffset))
        return (await Promise.all(ends)).reduce((sum, end) => sum + end, 0)
      },
      async close() {
        client.close()
        await kafka.close()
      },
    }
  }
  return { missing: missingApacheKafka(), start, FaultProxy }
}
