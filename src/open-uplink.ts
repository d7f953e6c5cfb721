import { centralCredentials } from './central-credentials.ts'
import type { LiveSettings } from './config/live-settings.ts'
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
  if (parts.settings['uplink.bootstrap.servers'].length === 0) return undefined
  return new Uplink({ ...parts, credentials: centralCredentials(parts) })
}
