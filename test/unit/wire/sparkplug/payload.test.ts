import { deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { MalformedFrame } from '../../../../src/core/malformed-frame.ts'
import { metricValueOf, typeNames } from '../../../../src/wire/sparkplug/metric-value.ts'
import { decodeSparkplug, encodeRebirth, maxPayloadMetrics } from '../../../../src/wire/sparkplug/payload.ts'
import { commandTopic, parseSparkplugTopic, stateTopic } from '../../../../src/wire/sparkplug/topic.ts'
import { encodePayload, int, type TestMetric } from '../../../support/sparkplug-edge.ts'

const readValue = (metric: TestMetric): unknown => {
  const [read] = decodeSparkplug(encodePayload(0, [metric])).metrics
  return metricValueOf(typeNames[read!.datatype ?? 0], read!)
}
const bytesOf = (...bytes: number[]): Buffer => Buffer.from(bytes)

describe('topics', () => {
  test('of edge nodes and devices', () => {
    expect(parseSparkplugTopic('spBv1.0/g/NDATA/e')).toEqual({
      type: 'NDATA',
      group: 'g',
      edge: 'e',
      device: undefined,
    })
    expect(parseSparkplugTopic('spBv1.0/g/DDATA/e/d')).toEqual({ type: 'DDATA', group: 'g', edge: 'e', device: 'd' })
    expect(commandTopic({ group: 'g', edge: 'e' })).toBe('spBv1.0/g/NCMD/e')
    expect(stateTopic('h')).toBe('spBv1.0/STATE/h')
  })

  test.each(['spBv1.0/STATE/h', 'spBv1.0/g/NDATA/e/d', 'spBv1.0/g/DDATA/e', 'spAv1.0/g/NDATA/e', 'spBv1.0//NDATA/e'])(
    '%s is none',
    topic => expect(parseSparkplugTopic(topic)).toBeUndefined(),
  )
})

describe('payloads', () => {
  test('as Eclipse Tahu for Python writes them', () => {
    // timestamp 1, metric { name "t", alias 5, timestamp 2, datatype Float, 21.5 }, seq 3
    const bytes = Buffer.from('080112100a0174100518022009650000ac411803'.replace('12100a', '120e0a'), 'hex')
    const { seq, timestampMs, metrics } = decodeSparkplug(bytes)
    expect({ seq, timestampMs, count: metrics.length }).toEqual({ seq: 3, timestampMs: 1, count: 1 })
    expect(metrics[0]).toMatchObject({ name: 't', datatype: 9, floatValue: 21.5 })
  })

  test('a rebirth command', () => {
    expect(decodeSparkplug(encodeRebirth(1_700_000_000_000))).toMatchObject({
      timestampMs: 1_700_000_000_000,
      seq: undefined,
      metrics: [{ name: 'Node Control/Rebirth', datatype: 11, booleanValue: true }],
    })
  })

  test('compressed ones', () => {
    const inner = encodePayload(7, [int('a', 1, 5)])
    for (const body of [deflateSync(inner), gzipSync(inner)]) {
      const { seq, metrics } = decodeSparkplug(encodePayload(undefined, [], { uuid: 'SPBV1.0_COMPRESSED', body }))
      expect(seq).toBe(7)
      expect(metrics[0]).toMatchObject({ name: 'a', intValue: 5 })
    }
  })
})

describe('values', () => {
  test.each([
    ['Int8', { datatype: 1, intValue: 0xff }, -1],
    ['Int8 in 32 bits', { datatype: 1, intValue: 0xffff_fffe }, -2],
    ['Int16', { datatype: 2, intValue: 0x8000 }, -32_768],
    ['Int32', { datatype: 3, intValue: 0xffff_ffff }, -1],
    ['Int32 in 64 bits', { datatype: 3, longValue: 0xffff_ffff }, -1],
    ['Int64', { datatype: 4, longValue: '18446744073709551615' }, -1],
    ['UInt32', { datatype: 7, longValue: 4_294_967_295 }, 4_294_967_295],
    ['UInt64 beyond 2^53', { datatype: 8, longValue: '18446744073709551615' }, '18446744073709551615'],
    ['Float', { datatype: 9, floatValue: 21.3 }, 21.3],
    ['Float that is none', { datatype: 9, floatValue: Number.NaN }, 'NaN'],
    ['Double', { datatype: 10, doubleValue: 0.1 }, 0.1],
    ['Boolean', { datatype: 11, booleanValue: false }, false],
    ['Int32 of 0', { datatype: 3, intValue: 0 }, 0],
    ['empty String', { datatype: 12, stringValue: '' }, ''],
    ['String', { datatype: 12, stringValue: 'é' }, 'é'],
    ['DateTime', { datatype: 13, longValue: 1_700_000_000_000 }, 1_700_000_000_000],
    ['Bytes', { datatype: 17, bytesValue: bytesOf(1, 2) }, 'AQI='],
    ['null', { datatype: 3, isNull: true }, null],
    ['Int16Array', { datatype: 23, bytesValue: bytesOf(0xff, 0xff, 2, 0) }, [-1, 2]],
    ['Int16Array cut short', { datatype: 23, bytesValue: bytesOf(0xff) }, '/w=='],
    ['FloatArray', { datatype: 30, bytesValue: bytesOf(0, 0, 0xac, 0x41) }, [21.5]],
    ['BooleanArray', { datatype: 32, bytesValue: bytesOf(3, 0, 0, 0, 0b1010_0000) }, [true, false, true]],
    ['BooleanArray that says too much', { datatype: 32, bytesValue: bytesOf(255, 255, 255, 255) }, '/////w=='],
    ['StringArray', { datatype: 33, bytesValue: Buffer.from('ab\0c\0') }, ['ab', 'c']],
    [
      'DataSet',
      {
        datatype: 16,
        datasetValue: {
          numOfColumns: 2,
          columns: ['a', 'b'],
          types: [3, 12],
          rows: [{ elements: [{ intValue: 0xffff_ffff }, { stringValue: 'x' }] }],
        },
      },
      { columns: ['a', 'b'], types: ['Int32', 'String'], rows: [[-1, 'x']] },
    ],
    [
      'Template',
      {
        datatype: 19,
        templateValue: {
          templateRef: 'motor',
          metrics: [{ name: 'rpm', datatype: 3, intValue: 9 }],
          parameters: [{ name: 'i', type: 12, stringValue: 'x' }],
        },
      },
      {
        templateRef: 'motor',
        metrics: [{ name: 'rpm', type: 'Int32', value: 9 }],
        parameters: [{ name: 'i', type: 'String', value: 'x' }],
      },
    ],
  ])('%s', (_, metric, value) => expect(readValue({ name: 'm', ...metric })).toEqual(value))
})

describe('hostile payloads', () => {
  const refused = (bytes: Buffer): void => expect(() => decodeSparkplug(bytes)).toThrow(MalformedFrame)

  test('too many metrics are not decoded at all', () => {
    refused(Buffer.from('1200'.repeat(maxPayloadMetrics + 1), 'hex'))
    expect(decodeSparkplug(Buffer.from('1200'.repeat(10), 'hex')).metrics).toHaveLength(10)
  })

  test('templates in templates', () => {
    let metric = Buffer.from('0a0161', 'hex')
    for (let depth = 0; depth < 300; depth++) {
      const template = Buffer.concat([Buffer.from([0x12]), varint(metric.length), metric])
      metric = Buffer.concat([Buffer.from([0x92, 0x01]), varint(template.length), template])
    }
    refused(Buffer.concat([Buffer.from([0x12]), varint(metric.length), metric]))
  })

  test('what unpacks to too much, or not at all', () => {
    refused(encodePayload(0, [], { uuid: 'SPBV1.0_COMPRESSED', body: deflateSync(Buffer.alloc(2 << 20)) }))
    refused(encodePayload(0, [], { uuid: 'SPBV1.0_COMPRESSED', body: Buffer.from('x') }))
    refused(encodePayload(0, [], { uuid: 'SPBV1.0_COMPRESSED' }))
  })

  test('any change of any payload is refused or read, whatever it says', () => {
    const payload = encodePayload(3, [
      int('a/b', 7, 5),
      {
        name: 'set',
        datatype: 16,
        datasetValue: { numOfColumns: 1, columns: ['a'], types: [3], rows: [{ elements: [{}] }] },
      },
      {
        name: 'p',
        datatype: 12,
        stringValue: 'x',
        properties: { keys: ['Quality', '__proto__'], values: [{ type: 3 }, {}] },
      },
      { name: 't', datatype: 19, templateValue: { metrics: [int('x', 1, 2)] } },
    ])
    let seed = 7
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return (seed >>> 8) % below
    }
    let read = 0
    for (let round = 0; round < 10_000; round++) {
      const changed = Buffer.from(random(2) === 0 ? payload : payload.subarray(0, 1 + random(payload.length)))
      for (let changes = random(3); changes > 0; changes--) changed[random(changed.length)] = random(256)
      try {
        for (const metric of decodeSparkplug(changed).metrics)
          JSON.stringify(metricValueOf(typeNames[metric.datatype ?? 0], metric))
        read++
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedFrame)
      }
    }
    expect(read).toBeGreaterThan(1000)
  })
})

const varint = (value: number): Buffer => {
  const bytes: number[] = []
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...bytes, left])
    bytes.push((left & 0x7f) | 0x80)
  }
}
