import { Listeners } from '../../src/broker/listeners/listeners.ts'
import type { Settings } from '../../src/config/settings.ts'
import { nodeClock } from '../../src/platform/node/clock.ts'
import { listenStream } from '../../src/platform/node/stream-server.ts'
import type { TlsIdentity } from '../../src/platform/tls-identity.ts'

/** Real listeners for a front under test; those with TLS need an identity. */
export const testListeners = (settings: Settings, identity?: TlsIdentity): Listeners =>
  new Listeners({ listen: listenStream, settings, identityFor: () => identity!, clock: nodeClock })
