import { centralCredentials } from './central-credentials.ts'
import { Downlink, type DownlinkParts } from './uplink/downlink/downlink.ts'

/** The way down with the security that the settings name; undefined when they have no downlink rules. */
export const openDownlink = (parts: Omit<DownlinkParts, 'credentials'>): Downlink | undefined =>
  parts.settings.downlink.length === 0 ? undefined : new Downlink({ ...parts, credentials: centralCredentials(parts) })
