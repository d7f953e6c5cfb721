import type { RawMqttClient } from './mqtt-client.ts'

/** Publishes whose payloads are numbers: what came, what did not, and in which order. */

export const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index))

/** With QoS 1; resolves when all are acknowledged. */
export const publish = async (client: RawMqttClient, topic: string, from: number, to: number): Promise<void> => {
  const before = client.packets.filter(({ cmd }) => cmd === 'puback').length
  for (let id = from; id <= to; id++) client.publish(topic, String(id), 1, (id % 60_000) + 1)
  await client.waitCount('puback', before + to - from + 1)
}

/** Payloads of all publishes that the client was sent. */
export const values = (client: RawMqttClient): string[] =>
  client.packets.flatMap(packet => (packet.cmd === 'publish' ? [packet.payload.toString()] : []))

/** Takes and acknowledges until `count` publishes are here. */
export const take = async (client: RawMqttClient, count: number): Promise<string[]> => {
  let acknowledged = 0
  for (;;) {
    const found = client.packets.filter(({ cmd }) => cmd === 'publish')
    for (; acknowledged < found.length; acknowledged++) {
      const { qos, messageId } = found[acknowledged] as { qos: number; messageId: number }
      if (qos > 0) client.send({ cmd: 'puback', messageId })
    }
    if (found.length >= count) return values(client)
    await client.waitCount('publish', acknowledged + 1)
  }
}

/** PINGRESP comes after all that the broker could send before; a few of them, so that it has had turns for what takes some. */
export const settle = async (client: RawMqttClient): Promise<void> => {
  const before = client.packets.filter(({ cmd }) => cmd === 'pingresp').length
  for (let round = 1; round <= 5; round++) {
    client.send({ cmd: 'pingreq' })
    await client.waitCount('pingresp', before + round)
  }
}
