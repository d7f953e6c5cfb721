import { Command } from 'commander'
import { dumpCommand } from './log-dump.ts'
import { inspectCommand } from './log-inspect.ts'
import { repairCommand } from './log-repair.ts'
import { verifyCommand } from './log-verify.ts'

/** `brooklet log`: looks into the data directory of a stopped or a running gateway; only `repair` changes anything there. */
export const logCommand = (): Command =>
  new Command('log')
    .description('look at the log of a gateway, and mend it')
    .addCommand(inspectCommand())
    .addCommand(verifyCommand())
    .addCommand(dumpCommand())
    .addCommand(repairCommand())
