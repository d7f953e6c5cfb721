import type { RequestContext } from './handler.ts'
import { nodeId } from './services.ts'

/** This gateway as the one broker of its cluster, at the address that the client can reach. */
export function onlyBroker({ peer }: RequestContext): { readonly host: string; readonly port: number } {
  return { host: peer.advertised.host, port: peer.advertised.port }
}

/** What every partition has in common: this gateway leads it and is its only replica. */
export const onlyReplica = { leaderId: nodeId, replicaNodes: [nodeId], isrNodes: [nodeId], offlineReplicas: [] }

/** Kafka's own topics (`Topic.isInternal`): not made here, but a client may bring them from a backup. */
export const isInternalTopic = (name: string): boolean =>
  name === '__consumer_offsets' || name === '__transaction_state'
