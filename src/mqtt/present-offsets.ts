import type { Broker } from '../broker/broker.ts'
import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'

/**
 * The offsets of the partition; undefined: its topic was deleted. What was on its way to a session then still names it: publications that become
 * durable, and acknowledgements of clients.
 */
export function presentOffsets(broker: Broker, partition: PartitionId): ReturnType<Broker['offsets']> | undefined {
  try {
    return broker.offsets(partition)
  } catch (error) {
    if (error instanceof BrokerError && error.kind === 'unknownPartition') return undefined
    throw error
  }
}
