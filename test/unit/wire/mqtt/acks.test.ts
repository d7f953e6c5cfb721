import { describe, expect, it } from 'vitest'
import { ackTypes, encodeAcks, packAck } from '../../../../src/wire/mqtt/acks.ts'

describe('acknowledgements', () => {
  it('are PUBACK, PUBREC and PUBCOMP, one after the other, around the end of the ring', () => {
    const ring = Uint32Array.from([
      packAck(ackTypes.pubcomp, 300, 0),
      0,
      packAck(ackTypes.puback, 65_535, 0),
      packAck(ackTypes.pubrec, 4, 0),
    ])
    expect(encodeAcks(ring, 2, 3).toString('hex')).toBe('4002ffff' + '50020004' + '7002012c')
  })

  it('carry a reason that is not success', () => {
    const ring = Uint32Array.from([packAck(ackTypes.puback, 258, 0x97), packAck(ackTypes.pubcomp, 1, 0x92)])
    expect(encodeAcks(ring, 0, 2).toString('hex')).toBe('4003010297' + '7003000192')
  })
})
