import type { LedgerCounts } from './device-ledger.ts'
import type { Progress } from './fleet.ts'

/** Makes the line of each second from the progress of that second and the one before. */
export const progressLines = (): ((progress: Progress) => string) => {
  let before: LedgerCounts | undefined
  let beforeMs = 0
  return ({ elapsedMs, devices, connected, buffered, isDraining, ledger }) => {
    const now = ledger.totals()
    const perSecond = (count: keyof LedgerCounts) =>
      Math.round(((now[count] - (before?.[count] ?? 0)) * 1000) / Math.max(1, elapsedMs - beforeMs))
    const line = [
      `${Math.round(elapsedMs / 1000)} s`,
      `${connected}/${devices} connected`,
      `made ${now.made} (${perSecond('made')}/s)`,
      `acked ${now.acked} (${perSecond('acked')}/s)`,
      `in doubt ${now.inDoubt}`,
      `buffered ${buffered}`,
      `lost by policy ${now.lostByPolicy}`,
      ...(isDraining ? ['waiting for acknowledgements'] : []),
    ].join('  ')
    before = now
    beforeMs = elapsedMs
    return line
  }
}
