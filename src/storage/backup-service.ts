import type { ListenLocal, LocalPeer } from '../platform/local-socket.ts'
import type { Logger } from '../platform/logger.ts'
import type { Log } from './log.ts'

/** The socket in the data directory at which a running gateway gives its log to a backup. */
export const backupSocketName = 'BACKUP'
/** Of what is said over the socket; docs/FORMAT.md. */
export const backupProtocol = 1

/**
 * Serves one backup at a time: pins the log as it is, says so, and releases each segment when the peer is done with it; all of them when the
 * connection ends, also by the death of the peer.
 */
export const serveBackups = (
  listenLocal: ListenLocal,
  directory: string,
  log: Log,
  logger: Logger,
): Promise<{ close(): Promise<void> }> => {
  let busy = false
  return listenLocal(directory, backupSocketName, peer => {
    if (busy) {
      peer.send(JSON.stringify({ error: 'another backup of this gateway is running' }))
      peer.close()
      return
    }
    busy = true
    peer.onClose(() => {
      busy = false
    })
    servePeer(peer, log, logger)
  })
}

const servePeer = (peer: LocalPeer, log: Log, logger: Logger): void => {
  const pins = log.pinSegments()
  const { lastGroup, segments } = pins.image
  logger.info({ lastGroup, segments: segments.length }, 'a backup begins: its segments are kept until it has them')
  peer.onLine(line => {
    const index = Number(line)
    if (Number.isInteger(index)) pins.release(index)
  })
  peer.onClose(() => {
    pins.releaseAll()
    logger.info({ lastGroup }, 'the backup has ended')
  })
  peer.send(JSON.stringify({ protocol: backupProtocol, ...pins.image }))
}
