import { Command, CommanderError } from 'commander'
import { configCommand } from './cli/config.ts'
import { consumeCommand } from './cli/consume.ts'
import { demoCommand } from './cli/demo.ts'
import { groupsCommand } from './cli/groups.ts'
import { produceCommand } from './cli/produce.ts'
import { serveCommand } from './cli/serve.ts'
import { simCommand } from './cli/sim.ts'
import { topCommand } from './cli/top.ts'
import { topicsCommand } from './cli/topics.ts'
import { versionCommand } from './cli/version.ts'
import { StartError } from './core/errors.ts'
import { host } from './platform/node/host.ts'

const exitUsage = 64
const exitBug = 70

const program = new Command('brooklet')
  .description('event broker for IoT gateways: MQTT in, one synced commit log, Kafka consumer groups out')
  .showHelpAfterError('(see brooklet --help)')
  .exitOverride()

const commands = [
  serveCommand(),
  demoCommand(),
  simCommand(),
  topCommand(),
  topicsCommand(),
  produceCommand(),
  consumeCommand(),
  groupsCommand(),
  configCommand(),
  versionCommand(),
]
for (const command of commands) program.addCommand(command.copyInheritedSettings(program))

/** Every way out: settings and starts that cannot be end in one line, bugs in a trace, and the supervisor restarts us. */
const fail = (error: unknown): never => {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : exitUsage)
  if (error instanceof StartError) {
    process.stderr.write(`brooklet: ${error.message}\n`)
    process.exit(error.exitCode)
  }
  process.stderr.write(`brooklet: a bug, please report it: ${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(exitBug)
}

host.onBug(fail)
await program.parseAsync().catch(fail)
