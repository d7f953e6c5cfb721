import { describe, expect, it } from 'vitest'
import {
  type AnyApi,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type RequestInputOf,
  type ResponseInputOf,
} from '../../../../src/wire/kafka/api.ts'
import {
  apiVersions,
  fetch,
  joinGroup,
  metadata,
  produce,
  saslHandshake,
} from '../../../../src/wire/kafka/contracts/index.ts'
import { peekRequestHeader } from '../../../../src/wire/kafka/header.ts'

/** Bytes written down by hand from the protocol guide; blanks are for the eye, size prefixes are added here. */
function frame(spaced: string): Buffer {
  const body = Buffer.from(spaced.replaceAll(/\s/g, ''), 'hex')
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

const CALLER = { correlationId: 7, clientId: 'me' }

/** Encodes to exactly these bytes; decodes back to the same values. */
function expectRequest<A extends AnyApi>(api: A, version: number, body: RequestInputOf<A>, spaced: string): void {
  const expected = frame(spaced)
  expect(Buffer.concat(encodeRequest(api, version, CALLER, body)).toString('hex')).toBe(expected.toString('hex'))
  const decoded = decodeRequest(api, expected.subarray(4))
  expect(decoded.header).toEqual({ apiKey: api.key, apiVersion: version, ...CALLER })
  expect(decoded.body).toMatchObject(body as object)
}

function expectResponse<A extends AnyApi>(api: A, version: number, body: ResponseInputOf<A>, spaced: string): void {
  const expected = frame(spaced)
  expect(Buffer.concat(encodeResponse(api, version, 7, body)).toString('hex')).toBe(expected.toString('hex'))
  const decoded = decodeResponse(api, version, expected.subarray(4))
  expect(decoded.correlationId).toBe(7)
  expect(decoded.body).toMatchObject(body as object)
}

// key, version, correlation id, client id; flexible requests have a tag buffer after it
const header = (key: string, version: string) => `${key} ${version} 00000007 0002 6d65`
const flexibleHeader = (key: string, version: string) => `${header(key, version)} 00`
const RECORDS = Buffer.from('abc')
const TOPIC_ID = '0102030405060708090a0b0c0d0e0f10'

describe('ApiVersions', () => {
  const apiKeys = [{ apiKey: 18, minVersion: 0, maxVersion: 4 }]

  it('v0', () => {
    expectRequest(apiVersions, 0, {}, header('0012', '0000'))
    expectResponse(apiVersions, 0, { errorCode: 35, apiKeys }, '00000007 0023 00000001 0012 0000 0004')
  })

  it('v3 has a flexible request header, and still the old response header', () => {
    const software = { clientSoftwareName: 'kc', clientSoftwareVersion: '1' }
    expectRequest(apiVersions, 3, software, `${flexibleHeader('0012', '0003')} 03 6b63 02 31 00`)
    expectResponse(apiVersions, 3, { errorCode: 0, apiKeys }, '00000007 0000 02 0012 0000 0004 00 00000000 00')
    const finalizedFeatures = [{ name: 'f', maxVersionLevel: 2, minVersionLevel: 1 }]
    expectResponse(
      apiVersions,
      3,
      { errorCode: 0, apiKeys, finalizedFeaturesEpoch: 5, finalizedFeatures },
      `00000007 0000 02 0012 0000 0004 00 00000000
       02 01 08 0000000000000005 02 08 02 02 66 0002 0001 00`,
    )
  })
})

describe('Metadata', () => {
  it('v1', () => {
    expectRequest(metadata, 1, { topics: null }, `${header('0003', '0001')} ffffffff`)
    expectRequest(metadata, 1, { topics: [{ name: 'ab' }] }, `${header('0003', '0001')} 00000001 0002 6162`)
    expectResponse(
      metadata,
      1,
      {
        brokers: [{ nodeId: 1, host: 'h', port: 9092, rack: null }],
        controllerId: 1,
        topics: [
          {
            errorCode: 0,
            name: 't',
            isInternal: true,
            partitions: [{ errorCode: 0, partitionIndex: 2, leaderId: 1, replicaNodes: [1], isrNodes: [1] }],
          },
        ],
      },
      `00000007  00000001 00000001 0001 68 00002384 ffff  00000001
       00000001 0000 0001 74 01  00000001 0000 00000002 00000001 00000001 00000001 00000001 00000001`,
    )
  })

  it('v12 by id', () => {
    expectRequest(
      metadata,
      12,
      {
        topics: [{ topicId: TOPIC_ID, name: null }],
        allowAutoTopicCreation: false,
        includeTopicAuthorizedOperations: false,
      },
      `${flexibleHeader('0003', '000c')} 02 ${TOPIC_ID} 00 00 00 00 00`,
    )
  })
})

describe('Produce', () => {
  const partitionData = [{ index: 1, records: RECORDS }]
  const topicData = [{ name: 't', partitionData }]

  it('v3', () => {
    expectRequest(
      produce,
      3,
      { acks: -1, timeoutMs: 1000, topicData },
      `${header('0000', '0003')} ffff ffff 000003e8 00000001 0001 74 00000001 00000001 00000003 616263`,
    )
    const partitionResponses = [{ index: 1, errorCode: 0, baseOffset: 5, logAppendTimeMs: -1 }]
    expectResponse(
      produce,
      3,
      { responses: [{ name: 't', partitionResponses }] },
      '00000007 00000001 0001 74 00000001 00000001 0000 0000000000000005 ffffffffffffffff 00000000',
    )
  })

  it('v9', () => {
    expectRequest(
      produce,
      9,
      { transactionalId: 'x', acks: 1, timeoutMs: 1000, topicData },
      `${flexibleHeader('0000', '0009')} 02 78 0001 000003e8 02 02 74 02 00000001 04 616263 00 00 00`,
    )
  })

  it('v13 has topic ids', () => {
    expectRequest(
      produce,
      13,
      { acks: 1, timeoutMs: 1000, topicData: [{ topicId: TOPIC_ID, partitionData }] },
      `${flexibleHeader('0000', '000d')} 00 0001 000003e8 02 ${TOPIC_ID} 02 00000001 04 616263 00 00 00`,
    )
  })
})

describe('Fetch', () => {
  it('v4', () => {
    const partitions = [{ partition: 1, fetchOffset: 5, partitionMaxBytes: 1000 }]
    expectRequest(
      fetch,
      4,
      { maxWaitMs: 500, minBytes: 1, maxBytes: 1000, isolationLevel: 1, topics: [{ topic: 't', partitions }] },
      `${header('0001', '0004')} ffffffff 000001f4 00000001 000003e8 01
       00000001 0001 74 00000001 00000001 0000000000000005 000003e8`,
    )
    expectResponse(
      fetch,
      4,
      {
        responses: [
          {
            topic: 't',
            partitions: [
              {
                partitionIndex: 1,
                errorCode: 0,
                highWatermark: 9,
                lastStableOffset: 8,
                abortedTransactions: null,
                records: RECORDS,
              },
            ],
          },
        ],
      },
      `00000007 00000000 00000001 0001 74 00000001
       00000001 0000 0000000000000009 0000000000000008 ffffffff 00000003 616263`,
    )
  })

  it('v12', () => {
    const partitions = [
      { partition: 1, currentLeaderEpoch: 3, fetchOffset: 5, logStartOffset: -1, partitionMaxBytes: 1000 },
    ]
    expectRequest(
      fetch,
      12,
      { clusterId: 'c', maxWaitMs: 500, minBytes: 1, maxBytes: 1000, topics: [{ topic: 't', partitions }] },
      `${flexibleHeader('0001', '000c')} ffffffff 000001f4 00000001 000003e8 00 00000000 ffffffff
       02 02 74 02 00000001 00000003 0000000000000005 ffffffff ffffffffffffffff 000003e8 00 00
       01 01  01 00 02 02 63`,
    )
    const partition = { partitionIndex: 1, errorCode: 0, highWatermark: 9, lastStableOffset: 9, logStartOffset: 0 }
    const records = { abortedTransactions: [], records: RECORDS, currentLeader: { leaderId: 1, leaderEpoch: 3 } }
    expectResponse(
      fetch,
      12,
      { responses: [{ topic: 't', partitions: [{ ...partition, ...records }] }] },
      `00000007 00  00000000 0000 00000000 02 02 74 02
       00000001 0000 0000000000000009 0000000000000009 0000000000000000 01 ffffffff 04 616263
       01 01 09 00000001 00000003 00  00 00`,
    )
  })
})

describe('JoinGroup', () => {
  const protocols = [{ name: 'range', metadata: Buffer.from('m') }]
  const member = { groupId: 'g', sessionTimeoutMs: 10_000, memberId: '', protocolType: 'consumer', protocols }

  it('v0', () => {
    expectRequest(
      joinGroup,
      0,
      member,
      `${header('000b', '0000')} 0001 67 00002710 0000 0008 636f6e73756d6572
       00000001 0005 72616e6765 00000001 6d`,
    )
  })

  it('v6', () => {
    expectRequest(
      joinGroup,
      6,
      { ...member, rebalanceTimeoutMs: 60_000, groupInstanceId: 'i' },
      `${flexibleHeader('000b', '0006')} 02 67 00002710 0000ea60 01 02 69 09 636f6e73756d6572
       02 06 72616e6765 02 6d 00 00`,
    )
    const members = [{ memberId: 'm', groupInstanceId: null, metadata: Buffer.from('x') }]
    expectResponse(
      joinGroup,
      6,
      { errorCode: 0, generationId: 1, protocolName: 'range', leader: 'm', memberId: 'm', members },
      '00000007 00 00000000 0000 00000001 06 72616e6765 02 6d 02 6d 02 02 6d 00 02 78 00 00',
    )
  })
})

describe('headers', () => {
  it('an API without flexible versions keeps the old ones', () => {
    expectRequest(saslHandshake, 1, { mechanism: 'PLAIN' }, `${header('0011', '0001')} 0005 504c41494e`)
    expectResponse(saslHandshake, 1, { errorCode: 0, mechanisms: [] }, '00000007 0000 00000000')
  })

  it('the client id may be null, unknown tags are skipped', () => {
    const bytes = frame('0012 0003 00000007 ffff 01 09 02 aabb  01 01 00').subarray(4)
    expect(decodeRequest(apiVersions, bytes).header.clientId).toBeNull()
  })

  it('can be looked at before the contract is known', () => {
    const bytes = frame('0063 0005 00000009').subarray(4)
    expect(peekRequestHeader(bytes)).toEqual({ apiKey: 99, apiVersion: 5, correlationId: 9 })
    expect(() => peekRequestHeader(bytes.subarray(0, 7))).toThrow(/RequestHeader/)
  })
})
