import { Command } from 'commander'
import packageFile from '../../package.json' with { type: 'json' }

/** Version of this Brooklet, from its package. */
export const brookletVersion: string = packageFile.version

/** `brooklet version`: what to name in a report. */
export const versionCommand = (): Command =>
  new Command('version')
    .description('print the version of Brooklet, of Node.js and the platform')
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }) => {
      const { version: node, platform, arch } = process
      const line = `brooklet ${brookletVersion} (Node.js ${node}, ${platform} ${arch})`
      const text = options.json ? JSON.stringify({ brooklet: brookletVersion, node, platform, arch }) : line
      process.stdout.write(`${text}\n`)
    })
