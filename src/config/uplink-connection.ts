import {
  type ClientSecurityKey,
  type ClientSecurityValues,
  clientSecurityKeys,
  clientSecurityRows,
} from './client-security.ts'

/** Rows of the settings table: how the uplink secures its connections to the central cluster. */
export const uplinkConnectionSettings = Object.fromEntries(
  Object.entries(clientSecurityRows).map(([key, one]) => [`uplink.${key}`, one]),
) as unknown as { readonly [Key in ClientSecurityKey as `uplink.${Key}`]: (typeof clientSecurityRows)[Key] }

type UplinkConnectionValues = { readonly [Key in ClientSecurityKey as `uplink.${Key}`]: ClientSecurityValues[Key] }

/** Their values, by the names without `uplink.`. */
export const uplinkConnection = (settings: UplinkConnectionValues): ClientSecurityValues =>
  Object.fromEntries(clientSecurityKeys.map(key => [key, settings[`uplink.${key}`]])) as unknown as ClientSecurityValues
