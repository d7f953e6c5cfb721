import { Command } from 'commander'
import { host } from '../platform/node/host.ts'
import { openLogger } from '../platform/node/logger.ts'
import { nodePlatform } from '../platform/node/platform.ts'
import { runGateway } from './run-gateway.ts'
import { addSettingFlags, settingsFromFlags } from './setting-flags.ts'

/** `brooklet serve`: runs a gateway until SIGTERM or SIGINT. */
export const serveCommand = (): Command =>
  addSettingFlags(new Command('serve').description('run a gateway')).action(async flags => {
    const loaded = await settingsFromFlags(flags)
    const { 'log.level': level, 'log.format': format } = loaded.settings
    const pretty = format === 'pretty' || (format === 'auto' && host.stderrIsTerminal)
    const logger = await openLogger({ level, format: pretty ? 'pretty' : 'json' })
    await runGateway(loaded, nodePlatform(logger))
  })
