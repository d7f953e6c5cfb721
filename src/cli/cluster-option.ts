import type { Command } from 'commander'
import { Cluster } from '../client/cluster.ts'
import { Credentials } from '../client/credentials.ts'
import { clientSecurity } from '../client/security.ts'
import { readClientProperties } from '../config/client-properties.ts'
import { StartError } from '../core/errors.ts'
import { systemErrorText } from '../core/system-error.ts'
import { version } from '../core/version.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { readNodeCredentialFile } from '../platform/node/credential-file.ts'
import { host } from '../platform/node/host.ts'
import { nodePostForm } from '../platform/node/http-post.ts'
import { nodeNetwork } from '../platform/node/network.ts'
import { nodeRandom } from '../platform/node/random.ts'

export interface ClusterFlags {
  readonly bootstrap: string
  readonly commandConfig?: string
}

/** Adds `--bootstrap`: the Kafka listener of a gateway, or any Kafka cluster; and how to get in there. */
export const addClusterOption = (command: Command): Command =>
  command
    .option('-b, --bootstrap <host:port,...>', 'Kafka listener of the gateway', '127.0.0.1:9092')
    .option('--command-config <file>', "TLS and login, as a properties file of Kafka's tools")

/** Runs `work` with a client of the cluster that the flags name, and closes it. */
export const withCluster = async <Result>(
  flags: ClusterFlags,
  work: (cluster: Cluster) => Promise<Result>,
): Promise<Result> => {
  const credentials =
    flags.commandConfig === undefined ? {} : { credentials: await openCredentials(flags.commandConfig) }
  const cluster = new Cluster(nodeNetwork, nodeClock, {
    ...credentials,
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

const openCredentials = async (path: string): Promise<Credentials> => {
  const text = await readNodeCredentialFile(path).then(
    ({ content }) => content.toString(),
    (error: NodeJS.ErrnoException) => {
      throw new StartError(64, `--command-config ${path}: ${systemErrorText(error)}`)
    },
  )
  return new Credentials(clientSecurity(readClientProperties(path, text)), {
    read: readNodeCredentialFile,
    postForm: nodePostForm,
    random: nodeRandom,
    clock: nodeClock,
  })
}

const parseBootstrap = (text: string): { host: string; port: number }[] =>
  text.split(',').map(part => {
    const match = /^\s*(?:\[([^\]]+)\]|([^:\s]+))(?::(\d{1,5}))?\s*$/.exec(part)
    const port = Number(match?.[3] ?? 9092)
    if (match === null || port < 1 || port > 65_535)
      throw new StartError(64, `--bootstrap: "${part}" is not host:port; nearest: ${match?.[2] ?? '127.0.0.1'}:9092`)
    return { host: match[1] ?? match[2] ?? '', port }
  })
