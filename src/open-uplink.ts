import { centralCredentials } from './central-credentials.ts'
import type { LiveSettings } from './config/live-settings.ts'
import type { Settings } from './config/settings.ts'
import { rateKeys } from './uplink/caps.ts'
import { RemoteReads, type RemoteReadsParts } from './uplink/remote/remote-reads.ts'
import { Selection } from './uplink/selection.ts'
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
  if (parts.settings['uplink.bootstrap.servers'].length === 0) return undefined
  return new Uplink({ ...parts, credentials: centralCredentials(parts) })
}

/** Reads from the central cluster what has left this log; undefined: nobody wants that. */
export const openRemoteReads = (
  parts: Omit<RemoteReadsParts, 'uplink'>,
  uplink: Uplink | undefined,
): RemoteReads | undefined =>
  uplink === undefined || !parts.settings['remote.read'] ? undefined : new RemoteReads({ ...parts, uplink })

/** Says why a topic of this name does not go up; undefined: it does. */
export const stayingTopics = (settings: Settings, gatewayId: string): ((topic: string) => string | undefined) => {
  const selection = new Selection(settings, gatewayId)
  return topic => {
    if (settings['uplink.bootstrap.servers'].length === 0) return 'there is none (uplink.bootstrap.servers)'
    return selection.has(topic) ? undefined : `"${topic}" does not go up (uplink.topics, uplink.topics.exclude)`
  }
}
