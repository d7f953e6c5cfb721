import { expect } from 'vitest'
import { Listeners } from '../../src/broker/listeners/listeners.ts'
import type { Settings } from '../../src/config/settings.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { listenStream } from '../../src/platform/node/stream-server.ts'

/** Real listeners for a front under test. */
export const testListeners = (settings: Settings, clock: Clock): Listeners =>
  new Listeners({ listen: listenStream, settings, identityFor: () => expect.unreachable('no TLS here'), clock })
