import { Credentials } from './client/credentials.ts'
import { clientSecurity } from './client/security.ts'
import type { LiveSettings } from './config/live-settings.ts'
import { uplinkConnection } from './config/uplink-connection.ts'
import { readNodeCredentialFile } from './platform/node/credential-file.ts'
import { nodePostForm } from './platform/node/http-post.ts'
import { rateKeys } from './uplink/caps.ts'
import { Uplink, type UplinkParts } from './uplink/uplink.ts'

/** Changes of the caps while the gateway runs. */
export const followRates = (live: LiveSettings, uplink: Uplink): void => {
  for (const key of rateKeys)
    live.onChange(key, rate => () => {
      uplink.caps.change(key, rate)
      uplink.lanes.wake()
    })
}

/** The way up with the security that the settings name; undefined when they name no central cluster. */
export const openUplink = (parts: Omit<UplinkParts, 'credentials'>): Uplink | undefined => {
  const { settings, random, clock } = parts
  if (settings['uplink.bootstrap.servers'].length === 0) return undefined
  const security = clientSecurity(uplinkConnection(settings))
  const credentials = new Credentials(security, {
    read: readNodeCredentialFile,
    postForm: nodePostForm,
    random,
    clock,
  })
  return new Uplink({ ...parts, credentials })
}
