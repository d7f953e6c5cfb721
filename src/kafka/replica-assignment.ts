import { BrokerError } from '../core/errors.ts'
import { nodeId } from './services.ts'

/** Replicas chosen by hand: this gateway and nobody else. Throws `invalidReplicaAssignment`. */
export function checkAssignments(assignments: readonly { readonly brokerIds: readonly number[] }[]): void {
  for (const { brokerIds } of assignments) {
    if (brokerIds.length === 1 && brokerIds[0] === nodeId) continue
    throw new BrokerError(
      'invalidReplicaAssignment',
      `replicas [${brokerIds.join(', ')}]: the only broker of this gateway is ${nodeId}`,
    )
  }
}
