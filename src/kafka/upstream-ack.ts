import type { UpstreamWait } from '../broker/central-replica.ts'
import { BrokerError } from '../core/errors.ts'
import type { RequestContext } from './handler.ts'

/**
 * Resolves once the central cluster has the records, or with the reason why it is not waited for any longer: as in Kafka
 * `notEnoughReplicasAfterAppend` when it falls out of sync, `replicationTimeout` when it is in sync and `timeoutMs` are over. Ends with its
 * connection: nobody would hear of it.
 */
export const whenUpstream = (
  { partition, end }: Pick<UpstreamWait, 'partition' | 'end'>,
  timeoutMs: number,
  { services, peer }: RequestContext,
): Promise<BrokerError | undefined> =>
  new Promise(resolve => {
    const { replica } = services.broker
    const givenUp = replica.givenUp({ partition, end })
    if (givenUp !== undefined) {
      resolve(givenUp)
      return
    }
    const over = (error?: BrokerError): void => {
      takeBack()
      timer.cancel()
      stay()
      resolve(error)
    }
    const late = (): void =>
      over(new BrokerError('replicationTimeout', `the records stand here and were not upstream within ${timeoutMs} ms`))
    const timer = services.clock.after(timeoutMs, late)
    const stay = peer.onGone(late)
    let takeBack = (): void => {}
    takeBack = replica.wait({ partition, end, isPatient: false, settled: over })
  })
