import { Credentials } from './client/credentials.ts'
import { clientSecurity } from './client/security.ts'
import type { Settings } from './config/settings.ts'
import { uplinkConnection } from './config/uplink-connection.ts'
import type { Clock } from './platform/clock.ts'
import { readNodeCredentialFile } from './platform/node/credential-file.ts'
import { nodePostForm } from './platform/node/http-post.ts'
import type { Random } from './platform/random.ts'

/** How connections to the central cluster are secured, as the settings say. */
export const centralCredentials = (parts: {
  readonly settings: Settings
  readonly random: Random
  readonly clock: Clock
}): Credentials => {
  const { settings, random, clock } = parts
  const security = clientSecurity(uplinkConnection(settings))
  return new Credentials(security, { read: readNodeCredentialFile, postForm: nodePostForm, random, clock })
}
