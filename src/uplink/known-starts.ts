import { BrokerError } from '../core/errors.ts'
import type { StateLog } from '../state/state-log.ts'
import type { KnownStart, UplinkView } from '../state/uplink.ts'
import type { StateChange } from '../state/view.ts'

/** Starts that are remembered though no position names them: a copy of this log may be as old. */
const mostUnnamed = 64

/**
 * Remembers a start of the log before anything is appended in it, uplink or not: positions upstream name starts, and by them copies of one log
 * find where their histories part. A log that takes nothing just now is told again by the next session.
 */
export const rememberStart = (state: StateLog, view: UplinkView, incarnation: string, epoch: number): void => {
  try {
    const forgotten = forget(view, incarnation, ({ mayHaveSent }) => mayHaveSent)
    state.write([...forgotten, view.putStart({ incarnation, epoch, mayHaveSent: false })])
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
  }
}

/** The start may send from now on: all positions are known, and those that none of them names are not needed to judge them. */
export const startSends = (
  view: UplinkView,
  incarnation: string,
  epoch: number,
  named: ReadonlySet<string>,
): StateChange[] => {
  const forgotten = forget(view, incarnation, start => named.has(start.incarnation))
  return [...forgotten, view.putStart({ incarnation, epoch, mayHaveSent: true })]
}

/** Of the others the newest stay, and those that are needed. */
const forget = (view: UplinkView, present: string, isNeeded: (start: KnownStart) => boolean): StateChange[] =>
  view
    .starts()
    .filter(({ incarnation }) => incarnation !== present)
    .slice(mostUnnamed - 1)
    .filter(start => !isNeeded(start))
    .map(({ incarnation }) => view.removeStart(incarnation))
