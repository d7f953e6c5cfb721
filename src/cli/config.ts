import { resolve } from 'node:path'
import { Command } from 'commander'
import { referencePages } from '../config/reference.ts'
import { formatSettingsFile, shownSettings } from '../config/shown-settings.ts'
import { Metrics } from '../core/metrics.ts'
import { openCertificates } from '../open-certificates.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { nodeFiles } from '../platform/node/files.ts'
import { openLogger } from '../platform/node/logger.ts'
import { addSettingFlags, settingsFromFlags } from './setting-flags.ts'

type FlagValues = Parameters<typeof settingsFromFlags>[0]

const print = (text: string): void => {
  process.stdout.write(text)
}

/** `brooklet config`: everything about settings that needs no running gateway. */
export const configCommand = (): Command =>
  new Command('config')
    .description('check and show settings')
    .addCommand(checkCommand())
    .addCommand(printCommand())
    .addCommand(referenceCommand())

/** Exit code 0, or 64 with every problem: `settingsFromFlags` and the certificates throw the `StartError` that says so. */
const checkCommand = (): Command =>
  addSettingFlags(new Command('check').description('check settings and name everything that is wrong')).action(
    async (flags: FlagValues) => {
      const loaded = await settingsFromFlags(flags)
      const logger = await openLogger({ level: 'warn', format: 'pretty' })
      await openCertificates(loaded.settings, { clock: nodeClock, logger, metrics: new Metrics() })
      const changed = shownSettings(loaded).filter(setting => setting.origin !== 'default')
      print(`settings are good: ${changed.length} set, all others have their defaults\n`)
    },
  )

const printCommand = (): Command =>
  addSettingFlags(new Command('print').description('print the settings in force, as a settings file'))
    .option('--json', 'as JSON, with the origin of each')
    .action(async (flags: FlagValues) => {
      const loaded = await settingsFromFlags(flags)
      const asJson = flags['json'] === true
      print(asJson ? `${JSON.stringify(shownSettings(loaded), undefined, 2)}\n` : formatSettingsFile(loaded))
    })

const referenceCommand = (): Command =>
  new Command('reference')
    .description('print the reference of settings, topic configs and metrics')
    .option('--write <directory>', 'write one file per page instead')
    .action(async ({ write: directory }: { write?: string }) => {
      for (const { name, content } of referencePages()) {
        if (directory === undefined) {
          print(`${content}\n`)
          continue
        }
        await nodeFiles.makeDirectory(resolve(directory))
        await nodeFiles.replaceSmall(resolve(directory, name), Buffer.from(content))
        print(`${directory}/${name} written\n`)
      }
    })
