import type { Command } from 'commander'
import { Cluster } from '../client/cluster.ts'
import { StartError } from '../core/errors.ts'
import { version } from '../core/version.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import { nodeNetwork } from '../platform/node/network.ts'

export interface ClusterFlags {
  readonly bootstrap: string
}

/** Adds `--bootstrap`: the Kafka listener of a gateway, or any Kafka cluster. */
export const addClusterOption = (command: Command): Command =>
  command.option('-b, --bootstrap <host:port,...>', 'Kafka listener of the gateway', '127.0.0.1:9092')

/** Runs `work` with a client of the cluster that the flags name, and closes it. */
export const withCluster = async <Result>(
  flags: ClusterFlags,
  work: (cluster: Cluster) => Promise<Result>,
): Promise<Result> => {
  const cluster = new Cluster(nodeNetwork, nodeClock, {
    bootstrap: parseBootstrap(flags.bootstrap),
    clientId: 'brooklet-cli',
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 30_000,
    softwareVersion: version,
  })
  const release = host.stayAlive()
  try {
    return await work(cluster)
  } finally {
    release()
    cluster.close()
  }
}

const parseBootstrap = (text: string): { host: string; port: number }[] =>
  text.split(',').map(part => {
    const match = /^\s*(?:\[([^\]]+)\]|([^:\s]+))(?::(\d{1,5}))?\s*$/.exec(part)
    const port = Number(match?.[3] ?? 9092)
    if (match === null || port < 1 || port > 65_535)
      throw new StartError(64, `--bootstrap: "${part}" is not host:port; nearest: ${match?.[2] ?? '127.0.0.1'}:9092`)
    return { host: match[1] ?? match[2] ?? '', port }
  })
