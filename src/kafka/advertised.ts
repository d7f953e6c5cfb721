import { isWildcard, type ListenUrl } from '../config/listen-url.ts'
import type { Connection, ListenAddress } from '../platform/network.ts'

/**
 * The address that clients of a connection are told to use: the one of `kafka.advertised`, else the listen address, and behind a wildcard
 * the local address that the client connected to. Port 0 stands for the port bound.
 */
export function advertisedAddress(
  listen: ListenUrl,
  advertised: ListenUrl | undefined,
  boundPort: number,
  { local }: Connection,
): ListenAddress {
  const { host, port } = advertised ?? { host: listen.host, port: boundPort }
  return { host: isWildcard(host) ? local.host : host, port: port === 0 ? boundPort : port }
}
