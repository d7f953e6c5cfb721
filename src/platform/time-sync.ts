/** A service that sets the wall clock from outside. */
export type TimeSource = 'systemd-timesyncd' | 'chrony'

export interface TimeSyncState {
  readonly source: TimeSource
  readonly synchronised: boolean
}

/**
 * Asks the services that may set the wall clock, systemd-timesyncd first, and resolves with what the first one that answers says; undefined:
 * none answers. Takes a few seconds at most, never blocks the event loop, never rejects.
 */
export type AskTimeSync = () => Promise<TimeSyncState | undefined>
