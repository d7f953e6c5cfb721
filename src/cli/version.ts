import { Command } from 'commander'
import { version } from '../core/version.ts'

/** What to name in a report, in a line. */
export const versionLine = `brooklet ${version} (Node.js ${process.version}, ${process.platform} ${process.arch})`

/** `brooklet version`: what to name in a report. */
export const versionCommand = (): Command =>
  new Command('version')
    .description('print the version')
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }) => {
      const { version: node, platform, arch } = process
      const text = options.json ? JSON.stringify({ brooklet: version, node, platform, arch }) : versionLine
      process.stdout.write(`${text}\n`)
    })
