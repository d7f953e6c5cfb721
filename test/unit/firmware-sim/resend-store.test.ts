import type { Packet } from 'mqtt'
import { expect, test } from 'vitest'
import { ResendStore } from '../../../firmware-sim/resend-store.ts'

const publish = (messageId: number): Packet => ({
  cmd: 'publish',
  messageId,
  topic: 't',
  payload: 'x',
  qos: 2,
  dup: false,
  retain: false,
})
const nothing = () => {}

const resent = async (store: ResendStore) => {
  const packets: string[] = []
  for await (const packet of store.createStream() as AsyncIterable<Packet>) {
    packets.push(`${packet.cmd} ${packet.messageId}${packet.cmd === 'publish' && packet.dup ? ' dup' : ''}`)
  }
  return packets
}

test('gives back what is unacknowledged in the order of sending, publishes with DUP', async () => {
  const store = new ResendStore()
  for (const id of [65_535, 1, 2, 3]) store.put(publish(id), nothing)
  store.del({ messageId: 1 }, nothing)
  store.put({ cmd: 'pubrel', messageId: 2 }, nothing)
  expect(await resent(store)).toEqual(['publish 65535 dup', 'pubrel 2', 'publish 3 dup'])
  expect(store.size).toBe(3)
})

test('outlives the end of its client, and says what it does not have', async () => {
  const store = new ResendStore()
  store.put(publish(5), nothing)
  store.close(nothing)
  expect(store.size).toBe(1)
  const errors: (Error | undefined)[] = []
  store.get({ messageId: 5 }, error => errors.push(error))
  store.del({ messageId: 6 }, error => errors.push(error))
  expect(errors.map(error => error?.message)).toEqual([undefined, 'no such packet'])
})
