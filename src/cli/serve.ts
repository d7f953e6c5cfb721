import { Command } from 'commander'
import type { LoadedSettings } from '../config/load.ts'
import { startGateway } from '../gateway.ts'
import type { Logger } from '../platform/logger.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import { openLogger } from '../platform/node/logger.ts'
import { nodePlatform } from '../platform/node/platform.ts'
import { addSettingFlags, settingsFromFlags } from './setting-flags.ts'

/** Of sysexits.h: an input or output error. */
const exitUnclean = 74
/** Whatever is at work then, the process ends. */
const stopMs = 5000

/** `brooklet serve`: runs a gateway until SIGTERM or SIGINT. */
export const serveCommand = (): Command =>
  addSettingFlags(new Command('serve').description('run a gateway')).action(async flags => {
    const loaded = await settingsFromFlags(flags)
    const { 'log.level': level, 'log.format': format } = loaded.settings
    const pretty = format === 'pretty' || (format === 'auto' && host.stderrIsTerminal)
    const logger = await openLogger({ level, format: pretty ? 'pretty' : 'json' })
    await runUntilSignal(loaded, logger)
  })

/** Ends the process. A signal counts from the first moment on, so that a start that waits (for space) can be stopped too. */
const runUntilSignal = async (loaded: LoadedSettings, logger: Logger): Promise<void> => {
  const stopping = new AbortController()
  host.stayAlive()
  const asked = new Promise<void>(resolve => {
    host.onStopSignal(signal => {
      logger.info({ signal }, 'stopping')
      stopping.abort()
      nodeClock.after(stopMs, () => exit(false, logger))
      resolve()
    })
  })
  try {
    const gateway = await startGateway(loaded, nodePlatform(logger), stopping.signal)
    process.stdout.write(`brooklet ready ${JSON.stringify(gateway.addresses)}\n`)
    await asked
    exit(await gateway.stop(), logger)
  } catch (error) {
    if (!stopping.signal.aborted) throw error
    exit(true, logger)
  }
}

const exit = (isClean: boolean, logger: Logger): never => {
  if (isClean) process.exit(0)
  logger.error({}, 'stopped, but not cleanly: what was acknowledged is safe, the next start recovers the log')
  process.exit(exitUnclean)
}
