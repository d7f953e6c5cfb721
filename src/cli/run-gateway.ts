import type { LoadedSettings } from '../config/load.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import type { Logger } from '../platform/logger.ts'
import { host } from '../platform/node/host.ts'
import type { Platform } from '../platform/platform.ts'

/** Of sysexits.h: an input or output error. */
const exitUnclean = 74
/** Whatever is at work then, the process ends. */
const stopMs = 5000

/** Runs a gateway until a signal, and ends the process. The signal counts from the first moment on, so that a start that waits (for space) can be stopped too. */
export const runGateway = async (loaded: LoadedSettings, platform: Platform): Promise<void> => {
  const { clock, logger } = platform
  const stopping = new AbortController()
  let gateway: Gateway | undefined
  host.stayAlive()
  const asked = new Promise<void>(resolve => {
    const stop = (signal: string): void => {
      logger.info({ signal }, 'stopping')
      stopping.abort()
      clock.after(stopMs, () => exit(false, logger))
      resolve()
    }
    host.onStopSignal(stop, () => gateway?.reload())
  })
  try {
    gateway = await startGateway(loaded, platform, stopping.signal)
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
