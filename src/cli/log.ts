import { Command } from 'commander'
import { dumpCommand } from './log-dump.ts'
import { inspectCommand } from './log-inspect.ts'
import { verifyCommand } from './log-verify.ts'

/** `brooklet log`: looks into the data directory of a stopped or a running gateway, and changes nothing there. */
export const logCommand = (): Command =>
  new Command('log')
    .description('inspect, verify and dump the log in a data directory; read-only')
    .addCommand(inspectCommand())
    .addCommand(verifyCommand())
    .addCommand(dumpCommand())
