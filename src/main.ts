import { Command, CommanderError } from 'commander'
import { configCommand } from './cli/config.ts'
import { consumeCommand } from './cli/consume.ts'
import { demoCommand } from './cli/demo.ts'
import { groupsCommand } from './cli/groups.ts'
import { HttpFailure } from './cli/http-client.ts'
import { logCommand } from './cli/log.ts'
import { produceCommand } from './cli/produce.ts'
import { routesCommand } from './cli/routes.ts'
import { serveCommand } from './cli/serve.ts'
import { simCommand } from './cli/sim.ts'
import { topCommand } from './cli/top.ts'
import { topicsCommand } from './cli/topics.ts'
import { versionCommand } from './cli/version.ts'
import { ConnectionLost, KafkaError } from './client/kafka-error.ts'
import { StartError } from './core/errors.ts'
import { host } from './platform/node/host.ts'

const exitFailed = 1
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
  routesCommand(),
  logCommand(),
  configCommand(),
  versionCommand(),
]
for (const command of commands) program.addCommand(command.copyInheritedSettings(program))

/** A command that the other side refused or that found nobody there: nothing that a trace would explain. */
const isExpected = (error: unknown): error is Error =>
  error instanceof KafkaError || error instanceof ConnectionLost || error instanceof HttpFailure

/** Every way out: settings and starts that cannot be end in one line, bugs in a trace, and the supervisor restarts us. */
const fail = (error: unknown): never => {
  // whoever read our output has seen enough (`| head`)
  if ((error as { code?: string }).code === 'EPIPE') process.exit(0)
  if (isExpected(error)) {
    process.stderr.write(`brooklet: ${error.message}\n`)
    process.exit(exitFailed)
  }
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
