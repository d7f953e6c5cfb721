import { Cluster } from '../../src/client/cluster.ts'
import { Credentials } from '../../src/client/credentials.ts'
import { clientSecurity } from '../../src/client/security.ts'
import { readClientProperties } from '../../src/config/client-properties.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { nodeClock } from '../../src/platform/node/clock.ts'
import { readNodeCredentialFile } from '../../src/platform/node/credential-file.ts'
import { nodePostForm } from '../../src/platform/node/http-post.ts'
import { nodeNetwork } from '../../src/platform/node/network.ts'
import { nodeRandom } from '../../src/platform/node/random.ts'

export type ClientProperties = Readonly<Record<string, string>>

export const propertiesText = (properties: ClientProperties): string =>
  Object.entries(properties)
    .map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('')

/** A client that connects as the properties of Kafka's clients say. */
export const securedCluster = (
  bootstrap: string,
  properties: ClientProperties,
  { clock = nodeClock, requestTimeoutMs = 20_000 }: { clock?: Clock; requestTimeoutMs?: number } = {},
): Cluster => {
  const security = clientSecurity(readClientProperties('client.properties', propertiesText(properties)))
  const parts = { read: readNodeCredentialFile, postForm: nodePostForm, random: nodeRandom, clock }
  const at = bootstrap.lastIndexOf(':')
  return new Cluster(nodeNetwork, clock, {
    bootstrap: [{ host: bootstrap.slice(0, at), port: Number(bootstrap.slice(at + 1)) }],
    clientId: 'test',
    connectTimeoutMs: 5_000,
    requestTimeoutMs,
    softwareVersion: '1',
    credentials: new Credentials(security, parts),
  })
}
