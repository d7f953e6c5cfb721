import type { RequestOf, ResponseInputOf } from '../../wire/kafka/api.ts'
import { fetch } from '../../wire/kafka/contracts/index.ts'
import { errorCodes } from '../../wire/kafka/error-codes.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { type PartitionRead, readPartition, type WatchedPartition } from '../partition-read.ts'

type Request = RequestOf<typeof fetch>
type Response = ResponseInputOf<typeof fetch>

/** Read without letting others in between: a device's ack does not wait for a whole answer to be read from memory. */
const unbrokenBytes = 128 * 1024

/** One pass over the partitions of a request. */
interface Pass {
  readonly responses: Response['responses']
  readonly bytes: number
  /** The client must hear of it now: see `PartitionRead`. */
  readonly urgent: boolean
  /** Where the partitions stood when they were read. */
  readonly watched: readonly WatchedPartition[]
}

/**
 * Fetch (1), versions 4-18. Whole batches below the high watermark, from the one that contains the offset asked for; the first partition
 * with data gives at least one batch whatever the limits, unless answers that nobody takes have used up the memory for them. Without enough bytes the request waits for `maxWaitMs`, holding nothing but
 * itself. There are no sessions (KIP-227): the id is always 0, and every answer is full.
 * - v4: isolation level; the last stable offset is the high watermark while there are no transactions
 * - v7: session id and epoch: a session that we never gave is FETCH_SESSION_ID_NOT_FOUND
 * - v9: current leader epoch, fenced
 * - v12: last fetched epoch: where it ended, when our log and the client's part
 * - v13: topic ids in place of names
 * - v14: what is read from the central cluster comes like the rest: OFFSET_MOVED_TO_TIERED_STORAGE is for replicas
 */
export const handleFetch = defineHandler(fetch, async (request, context): Promise<Response> => {
  const { sessionId, sessionEpoch, maxWaitMs, minBytes } = request
  if (sessionId !== 0) return { errorCode: errorCodes.FETCH_SESSION_ID_NOT_FOUND, responses: [] }
  if (sessionEpoch > 0) return { errorCode: errorCodes.INVALID_FETCH_SESSION_EPOCH, responses: [] }
  const { clock } = context.services
  const deadlineMs = clock.monotonicMs() + maxWaitMs
  const gone = watchPeer(context)
  try {
    for (;;) {
      const pass = await readOnce(request, context)
      const leftMs = deadlineMs - clock.monotonicMs()
      if (pass.urgent || pass.bytes >= minBytes || pass.watched.length === 0 || leftMs <= 0 || gone.now) {
        return { responses: pass.responses }
      }
      if (!hasMoved(pass, context)) await parked(pass, leftMs, gone, context)
    }
  } finally {
    gone.stop()
  }
})

async function readOnce(request: Request, context: RequestContext): Promise<Pass> {
  const { responses: share, loaded } = context.services
  // who asks for 0 gets a batch, too (KIP-74); 0 is what there is when the memory is out
  const limitBytes = share.fetchBytes(Math.max(1, Math.min(request.maxBytes, loaded.settings['fetch.max.bytes'])))
  // what is being read counts before it is there: many fetches at once must not pass the budget together
  share.hold(limitBytes)
  try {
    return await readWithin(limitBytes, request, context)
  } finally {
    share.hold(-limitBytes)
  }
}

async function readWithin(limitBytes: number, request: Request, context: RequestContext): Promise<Pass> {
  const responses: Response['responses'][number][] = []
  const watched: WatchedPartition[] = []
  let bytes = 0
  let brokenAt = 0
  let urgent = false
  for (const { topic, topicId, partitions } of request.topics) {
    const answers: PartitionRead['answer'][] = []
    for (const wanted of partitions) {
      if (bytes - brokenAt >= unbrokenBytes) {
        brokenAt = bytes
        await new Promise<void>(resume => context.services.clock.afterIo(resume))
      }
      const by = context.version >= 13 ? { id: topicId } : { name: topic }
      const limit = {
        bytes: Math.min(wanted.partitionMaxBytes, limitBytes - bytes),
        atLeastOne: bytes === 0 && limitBytes > 0,
      }
      const read = await readPartition(by, wanted, limit, request.isolationLevel, context)
      answers.push(read.answer)
      bytes += read.bytes
      urgent ||= read.urgent
      if (read.watch !== undefined) watched.push(read.watch)
    }
    responses.push({ topic, topicId, partitions: answers })
  }
  return { responses, bytes, urgent, watched }
}

/** What happened between reading and now: looked at in the stretch that parks, so that no wake-up is lost. */
function hasMoved({ watched }: Pass, { services: { broker } }: RequestContext): boolean {
  return watched.some(({ topicId, partition, highWatermark, hasArrived }) => {
    if (broker.topics.findById(topicId) === undefined || hasArrived?.()) return true
    return broker.offsets(partition).highWatermark !== highWatermark
  })
}

async function parked(pass: Pass, leftMs: number, gone: Gone, { services }: RequestContext): Promise<void> {
  const partitions = pass.watched.map(({ partition }) => partition)
  const wait = services.broker.waitForAdvance(partitions, leftMs)
  gone.cancel = () => wait.cancel()
  await wait.advanced
  gone.cancel = undefined
}

interface Gone {
  now: boolean
  cancel: (() => void) | undefined
  readonly stop: () => void
}

/** Ends the wait when nobody is left to answer. */
function watchPeer({ peer }: RequestContext): Gone {
  const gone: Gone = {
    now: false,
    cancel: undefined,
    stop: peer.onGone(() => {
      gone.now = true
      gone.cancel?.()
    }),
  }
  return gone
}
