import { describe, expect, test } from 'vitest'
import { Ledger, ledgerTable, type Receipt } from '../../../firmware-sim/index.ts'

/** One device that made 10: acked 1 to 6, 7 in doubt, lost 8 and 9, still holds 10; 3 and 7 were sent twice. */
const sample = (qos: 0 | 1 | 2 = 1): Ledger => {
  const ledger = new Ledger(7, 0)
  const page = ledger.open('env-00001', 'env', qos)
  page.made = 10
  for (let seq = 1; seq <= 7; seq++) page.sent.add(seq)
  for (let seq = 1; seq <= 6; seq++) page.acked.add(seq)
  for (const seq of [8, 9]) page.lost.add(seq)
  for (const seq of [3, 7]) page.resent.add(seq)
  return ledger
}

const got = (...sequences: number[]): Receipt[] => sequences.map(seq => ({ device: 'env-00001', seq }))

describe('ledger', () => {
  test('every reading is in exactly one count', () => {
    const totals = sample().totals()
    expect(totals).toEqual({ made: 10, acked: 6, inDoubt: 1, refused: 0, lostByPolicy: 2, waiting: 1, resent: 2 })
  })

  test('survives JSON', () => {
    const ledger = sample()
    const back = Ledger.fromJSON(JSON.parse(JSON.stringify(ledger)))
    expect(back.toJSON()).toEqual(ledger.toJSON())
    expect(back.compare(got(1, 2, 3, 4, 5, 6))).toEqual(ledger.compare(got(1, 2, 3, 4, 5, 6)))
  })

  test('a device cannot be there twice', () => {
    expect(() => sample().open('env-00001', 'env', 1)).toThrow('twice')
  })
})

describe('compare', () => {
  test('all that was acknowledged, in order: clean', () => {
    expect(sample().compare(got(1, 2, 3, 4, 5, 6))).toMatchObject({ isClean: true, inDoubtReceived: 0, received: 6 })
  })

  test('what was in doubt may arrive, and what was sent twice may arrive twice', () => {
    const comparison = sample().compare(got(1, 2, 3, 4, 3, 5, 6, 7, 7))
    expect(comparison).toMatchObject({ isClean: true, inDoubtReceived: 1, permittedDuplicates: 2 })
  })

  test('an acknowledged reading that is missing is a loss', () => {
    const comparison = sample().compare(got(1, 2, 3, 6))
    expect(comparison).toMatchObject({ isClean: false, missingAcked: 2 })
    expect(comparison.examples).toEqual(['env-00001 4 to 5 was acknowledged and is missing'])
  })

  test('nothing received at all is a loss of everything', () => {
    expect(sample().compare([])).toMatchObject({ isClean: false, missingAcked: 6 })
  })

  test('a second copy of what was sent once is a fault; with QoS 2 any is', () => {
    expect(sample().compare(got(1, 1, 2, 3, 4, 5, 6))).toMatchObject({ isClean: false, unexplainedDuplicates: 1 })
    expect(sample(2).compare(got(1, 2, 3, 3, 4, 5, 6))).toMatchObject({ isClean: false, unexplainedDuplicates: 1 })
  })

  test('what was dropped, is still waiting, or comes from elsewhere is unexpected', () => {
    for (const receipt of [...got(8, 10, 11, 0), { device: 'env-00002', seq: 1 }]) {
      expect(sample().compare([...got(1, 2, 3, 4, 5, 6), receipt])).toMatchObject({ isClean: false, unexpected: 1 })
    }
  })

  test('a first copy after a later reading breaks the order', () => {
    const comparison = sample().compare(got(1, 3, 2, 4, 5, 6))
    expect(comparison).toMatchObject({ isClean: false, orderViolations: 1, missingAcked: 0 })
    expect(comparison.examples).toEqual(['env-00001 2 came after 3'])
  })

  test('a refused reading is no promise either way', () => {
    const ledger = sample()
    ledger.device('env-00001')!.refused.add(7)
    expect(ledger.totals()).toMatchObject({ inDoubt: 0, refused: 1 })
    expect(ledger.compare(got(1, 2, 3, 4, 5, 6, 7))).toMatchObject({ isClean: true, refusedReceived: 1 })
  })
})

describe('table', () => {
  test('a line per device, a line per profile, and the sum', () => {
    const ledger = sample()
    ledger.open('power-00001', 'power', 1).made = 5
    const lines = ledgerTable(ledger).split('\n')
    expect(lines[0]?.split(/ {2,}/)).toEqual([
      'DEVICE',
      'MADE',
      'ACKED',
      'IN DOUBT',
      'REFUSED',
      'LOST BY POLICY',
      'WAITING',
      'SENT AGAIN',
    ])
    expect(lines[1]?.split(/ +/)).toEqual(['env-00001', '10', '6', '1', '0', '2', '1', '2'])
    expect(lines.at(-1)?.split(/ +/)).toEqual(['all', '2', '15', '6', '1', '0', '2', '6', '2'])
    expect(lines.filter(line => line.startsWith('all'))).toHaveLength(3)
  })

  test('a large fleet shows the devices with most open, and says how many it hides', () => {
    const ledger = new Ledger(1, 0)
    for (let index = 0; index < 50; index++) ledger.open(`env-${index}`, 'env', 1).made = index
    const table = ledgerTable(ledger, 10)
    expect(table).toContain('env-49 ')
    expect(table).not.toContain('env-39 ')
    expect(table).toContain('(40 more devices')
  })
})
