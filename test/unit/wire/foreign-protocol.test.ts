import { expect, it } from 'vitest'
import { foreignProtocol } from '../../../src/wire/foreign-protocol.ts'

it.each([
  ['TLS', [0x16, 0x03, 0x01, 0x02]],
  ['HTTP', [...Buffer.from('GET /metrics')]],
  ['HTTP', [...Buffer.from('POST')]],
  ['MQTT', [0x10, 0x1a, 0x00, 0x04]],
  ['Kafka', [0x00, 0x00, 0x00, 0x2a]],
  [undefined, [0xff, 0xff, 0xff, 0xff]],
  [undefined, []],
])('%s is known by %j', (protocol, bytes) => {
  const at = 3
  expect(foreignProtocol(Buffer.from([7, 7, 7, ...bytes]), at)).toBe(protocol)
})
