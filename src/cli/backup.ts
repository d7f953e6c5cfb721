import { Command, InvalidArgumentError } from 'commander'
import { bytes as bytesType } from '../config/quantities.ts'
import { StartError } from '../core/errors.ts'
import { systemErrorText } from '../core/system-error.ts'
import type { LocalPeer } from '../platform/local-socket.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { nodeFiles } from '../platform/node/files.ts'
import { host } from '../platform/node/host.ts'
import { connectNodeLocal } from '../platform/node/local-socket.ts'
import { type BackupParts, imageOf, writeBackup } from '../storage/backup.ts'
import { backupProtocol, backupSocketName } from '../storage/backup-service.ts'
import { unusableDirectory } from '../storage/data-directory.ts'
import type { LogImage } from '../storage/segment-pins.ts'
import { CommandFailed } from './command-failed.ts'
import { chosenDirectory, type DirectoryFlags } from './log-directory.ts'
import { type Output, withOutput } from './output.ts'
import { plural } from './plural.ts'
import { sizeText } from './size-text.ts'

interface BackupFlags extends DirectoryFlags {
  readonly rate: number
}

const MiB = 1024 * 1024
const defaultRate = 32 * MiB

/** The gateway on that directory; the connection pins what it said. */
const connect = async (source: string): Promise<LocalPeer> => {
  const peer = await connectNodeLocal(source, backupSocketName).catch(error => {
    throw new CommandFailed(`${source} cannot be used: ${systemErrorText(error as Error)}`)
  })
  if (peer !== undefined) return peer
  throw new CommandFailed(
    `no gateway runs on ${source}: name its data.dir with --data-dir; a directory at rest can be copied as it is`,
  )
}

const receiveImage = async (peer: LocalPeer): Promise<LogImage> => {
  const line = await new Promise<string>((resolve, reject) => {
    peer.onLine(resolve)
    peer.onClose(() => reject(new CommandFailed('the gateway ended before the backup began; try again')))
  })
  const { error, protocol, ...rest } = JSON.parse(line) as { error?: string; protocol?: number }
  if (error !== undefined) throw new CommandFailed(error)
  const image = protocol === backupProtocol ? imageOf(rest) : undefined
  if (image === undefined) throw new CommandFailed('the gateway is of another version; use the brooklet that runs it')
  return image
}

const copy = async (output: Output, source: string, target: string, bytesPerSecond: number): Promise<void> => {
  const peer = await connect(source)
  try {
    const image = await receiveImage(peer)
    let gone = false
    peer.onClose(() => {
      gone = true
    })
    const parts: BackupParts = {
      files: nodeFiles,
      clock: nodeClock,
      source,
      target,
      image,
      bytesPerSecond,
      done: index => peer.send(String(index)),
      check: () => {
        if (gone) throw new CommandFailed('the gateway ended during the backup: the one before, if any, is the newest')
      },
      progress: (copied, segment) =>
        output.progress(
          () => `${(copied / MiB).toFixed(1)} MiB copied, segment ${segment + 1} of ${image.segments.length}`,
        ),
    }
    const { lastGroup, segments, kept, copiedBytes } = await writeBackup(parts)
    const amount = `${plural(segments, 'segment')}, ${kept} of them unchanged, ${sizeText(copiedBytes)} copied`
    await output.line(`backup of log ${image.logId} through group ${lastGroup}: ${amount}`)
  } finally {
    peer.close()
  }
}

const rateOf = (text: string): number => {
  const rate = bytesType({ min: 1 }).parse(text)
  if ('value' in rate) return rate.value
  throw new InvalidArgumentError(`${rate.problems[0]?.reason ?? 'bytes are expected'}.`)
}

/** `brooklet backup TO`: copies the log of a running gateway, as it is at one moment; what an earlier backup has is not copied again. */
export const backupCommand = (): Command =>
  new Command('backup')
    .summary('copy the log of a running gateway')
    .description('copy the log of the gateway that runs on a data directory; incremental where a backup is already')
    .argument('<to>', 'directory of the backup: empty, or with an earlier backup of this log')
    .option('--data-dir <directory>', 'data directory of the gateway (default: data.dir of the settings)')
    .option('--config <file>', 'settings file that names data.dir; also BROOKLET_CONFIG')
    .option('--rate <bytes>', 'bytes per second at most', rateOf, defaultRate)
    .action((to: string, flags: BackupFlags) =>
      withOutput(async output => {
        const source = await chosenDirectory(undefined, flags)
        const target = host.absolutePath(to)
        if (target === source || target.startsWith(`${source}/`)) {
          throw new StartError(64, 'a backup does not go into the data directory itself; name another directory')
        }
        await copy(output, source, target, flags.rate).catch(error => {
          throw unusableDirectory(target, error)
        })
      }),
    )
