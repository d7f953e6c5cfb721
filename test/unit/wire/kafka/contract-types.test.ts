import { expectTypeOf, it } from 'vitest'
import type { RequestInputOf, RequestOf, ResponseInputOf, ResponseOf } from '../../../../src/wire/kafka/api.ts'
import type { describeTopicPartitions, fetch, heartbeat, produce } from '../../../../src/wire/kafka/contracts/index.ts'

// The assertions are made by the compiler (npm run check).
it('the types of messages follow from the contracts', () => {
  expectTypeOf<RequestOf<typeof heartbeat>>().toEqualTypeOf<{
    groupId: string
    generationId: number
    memberId: string
    groupInstanceId: string | null
  }>()
  expectTypeOf<ResponseOf<typeof heartbeat>>().toEqualTypeOf<{ throttleTimeMs: number; errorCode: number }>()
  expectTypeOf<{ errorCode: number }>().toExtend<ResponseInputOf<typeof heartbeat>>()
  expectTypeOf<{ throttleTimeMs: number }>().not.toExtend<ResponseInputOf<typeof heartbeat>>()
  expectTypeOf<ResponseOf<typeof fetch>>().toExtend<ResponseInputOf<typeof fetch>>()
  expectTypeOf<RequestOf<typeof produce>>().toExtend<RequestInputOf<typeof produce>>()
})

it('records and nested types keep their nullability', () => {
  type Partition = RequestOf<typeof produce>['topicData'][number]['partitionData'][number]
  expectTypeOf<Partition['records']>().toEqualTypeOf<Buffer | null>()
  type FetchedInput = ResponseInputOf<typeof fetch>['responses'][number]['partitions'][number]
  expectTypeOf<FetchedInput['records']>().toEqualTypeOf<Uint8Array | readonly Uint8Array[] | null>()
  expectTypeOf<
    RequestOf<typeof fetch>['topics'][number]['partitions'][number]['highWatermark']
  >().toEqualTypeOf<bigint>()
  expectTypeOf<RequestOf<typeof describeTopicPartitions>['cursor']>().toEqualTypeOf<{
    topicName: string
    partitionIndex: number
  } | null>()
})
