// @platformatic/kafka
import {
  Admin,
  Consumer,
  MessagesStreamModes,
  ProduceAcks,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'

const [bootstrap, command, ...words] = process.argv.slice(2)
const common = { clientId: 'interop', bootstrapBrokers: [bootstrap] }
const say = (...parts) => process.stdout.write(`${parts.join(' ')}\n`)

const withAdmin = async work => {
  const admin = new Admin(common)
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}

const commands = {
  async create(topic, partitions) {
    await withAdmin(admin => admin.createTopics({ topics: [topic], partitions: Number(partitions), replicas: 1 }))
    say('created')
  },

  async describe(topic) {
    if (!(await withAdmin(admin => admin.listTopics())).includes(topic)) return say('gone')
    const metadata = await withAdmin(admin => admin.metadata({ topics: [topic] }))
    say('partitions', metadata.topics.get(topic).partitions.length)
  },

  async delete(topic) {
    await withAdmin(admin => admin.deleteTopics({ topics: [topic] }))
    say('deleted')
  },

  async produce(topic, first, count) {
    const producer = new Producer({
      ...common,
      serializers: stringSerializers,
      idempotent: true,
      acks: ProduceAcks.ALL,
    })
    const messages = Array.from({ length: Number(count) }, (_, index) => {
      const n = Number(first) + index
      return { topic, key: `k${n}`, value: `v${n}` }
    })
    await producer.send({ messages })
    await producer.close()
    say('produced', count)
  },

  async consume(groupId, topic) {
    const consumer = new Consumer({ ...common, groupId, deserializers: stringDeserializers })
    consumer.on('consumer:group:join', ({ assignments }) => {
      const own = assignments?.find(assignment => assignment.topic === topic)?.partitions ?? []
      say('assigned', ...[...own].sort((one, other) => one - other))
    })
    const stream = await consumer.consume({
      topics: [topic],
      autocommit: false,
      mode: MessagesStreamModes.COMMITTED,
      fallbackMode: 'earliest',
      maxWaitTime: 200,
    })
    stream.on('error', error => say('note', error.message))
    const committing = new Set()
    stream.on('data', message => {
      say('record', message.partition, message.offset, message.value)
      const committed = Promise.resolve(message.commit())
        .catch(error => say('note', error.message))
        .finally(() => committing.delete(committed))
      committing.add(committed)
    })
    process.stdin.resume()
    await new Promise(resolve => process.stdin.once('end', resolve))
    await Promise.all(committing)
    await consumer.close(true)
  },
}

await commands[command](...words)
