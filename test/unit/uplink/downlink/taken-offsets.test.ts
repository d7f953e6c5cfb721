import { afterEach, beforeEach, expect, it } from 'vitest'
import { Cluster } from '../../../../src/client/cluster.ts'
import { nodeClock } from '../../../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../../../src/platform/node/network.ts'
import { takenBy } from '../../../../src/uplink/downlink/taken-offsets.ts'
import { findCoordinator } from '../../../../src/wire/kafka/contracts/find-coordinator.ts'
import { offsetFetch } from '../../../../src/wire/kafka/contracts/offset-fetch.ts'
import { errorCodes } from '../../../../src/wire/kafka/error-codes.ts'
import { ScriptedBroker } from '../../../support/scripted-broker.ts'

const topic = { name: 't', id: 'a'.repeat(32), partitions: [0, 1] }
let broker: ScriptedBroker
let cluster: Cluster

beforeEach(async () => {
  broker = await ScriptedBroker.start()
  broker.serveTopic(() => [0, 0])
  cluster = new Cluster(nodeNetwork, nodeClock, {
    bootstrap: [broker.address],
    clientId: 'test',
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 20_000,
    softwareVersion: '1',
  })
})

afterEach(async () => {
  cluster.close()
  await broker.stop()
})

/** Versions without lists of groups, to keep it short. */
const serve = (atCoordinator: number, atOffsets: number): void => {
  const found = { errorMessage: null, nodeId: 0, ...broker.address }
  broker.serve(findCoordinator, () => ({ ...found, errorCode: atCoordinator, coordinators: [] }), [1, 3])
  broker.serve(offsetFetch, () => ({ errorCode: atOffsets, topics: [], groups: [] }), [2, 7])
}
const denied = errorCodes.GROUP_AUTHORIZATION_FAILED

it.each([
  ['to find it', denied, 0],
  ['to read it', 0, denied],
])('where there is no right to the group, %s, nothing is known', async (_, atCoordinator, atOffsets) => {
  serve(atCoordinator, atOffsets)
  expect(await takenBy(cluster, 'b'.repeat(32), topic)).toEqual([undefined, undefined])
})

it('any other refusal is no answer: what was taken would come down again', async () => {
  serve(0, errorCodes.UNKNOWN_SERVER_ERROR)
  await expect(takenBy(cluster, 'b'.repeat(32), topic)).rejects.toThrow('UNKNOWN_SERVER_ERROR')
})
