import { Command, CommanderError, Help } from 'commander'
import { CommandFailed } from './cli/command-failed.ts'
import { HttpFailure } from './cli/http-client.ts'
import { versionLine } from './cli/version.ts'
import { ConnectionLost, isClientError } from './client/kafka-error.ts'
import { StartError } from './core/errors.ts'
import { host, OutputFailed } from './platform/node/host.ts'

const exitFailed = 1
const exitUsage = 64
const exitBug = 70
/** Of sysexits.h: an input or output error. */
const exitOutput = 74

/** The errors of commander are sentences, and suggestions stand in lines of their own. */
const oneLine = (text: string): string =>
  text
    .trim()
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replace(/^command-argument value '(.*)' is invalid for argument '(.*)'\. /, "argument <$2> '$1': ")
    .replace(' is invalid. ', ': ')
    .replaceAll('\n', ' ')

/** In the help; a longer one has a line of its own. */
const widestTerm = 34

const program = new Command('brooklet')
  // options behind a command are that one's
  .enablePositionalOptions()
  .description('event broker for IoT gateways: MQTT in, one synced commit log, Kafka consumer groups out')
  .configureHelp({
    padWidth: (command, helper) => Math.min(widestTerm, Help.prototype.padWidth.call(helper, command, helper)),
    formatItem: (term, termWidth, description, helper) => {
      const format = (text: string) => Help.prototype.formatItem.call(helper, text, termWidth, description, helper)
      return term.length <= termWidth ? format(term) : `  ${term}\n${format('')}`
    },
  })
  .configureOutput({
    outputError: (text, write) => write(`brooklet: ${oneLine(text)}; see --help\n`),
  })
  .version(versionLine, '-V, --version', 'print the version')
  .exitOverride()

/** In the order of the help. Loaded when asked for: a gateway does not carry what only its tools need. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./cli/serve.ts')).serveCommand(),
  demo: async () => (await import('./cli/demo.ts')).demoCommand(),
  sim: async () => (await import('./cli/sim.ts')).simCommand(),
  top: async () => (await import('./cli/top.ts')).topCommand(),
  topics: async () => (await import('./cli/topics.ts')).topicsCommand(),
  produce: async () => (await import('./cli/produce.ts')).produceCommand(),
  consume: async () => (await import('./cli/consume.ts')).consumeCommand(),
  groups: async () => (await import('./cli/groups.ts')).groupsCommand(),
  devices: async () => (await import('./cli/devices.ts')).devicesCommand(),
  uplink: async () => (await import('./cli/uplink.ts')).uplinkCommand(),
  downlink: async () => (await import('./cli/downlink.ts')).downlinkCommand(),
  audit: async () => (await import('./cli/audit.ts')).auditCommand(),
  routes: async () => (await import('./cli/routes.ts')).routesCommand(),
  backup: async () => (await import('./cli/backup.ts')).backupCommand(),
  restore: async () => (await import('./cli/restore.ts')).restoreCommand(),
  log: async () => (await import('./cli/log.ts')).logCommand(),
  config: async () => (await import('./cli/config.ts')).configCommand(),
  version: async () => (await import('./cli/version.ts')).versionCommand(),
}

/** Settings of the program do not reach by themselves what was built before it was added. */
const inherit = (command: Command): void => {
  command.copyInheritedSettings(program)
  for (const inner of command.commands) inherit(inner)
}

/** The command that the first word names; all of them where it names none, for the help, which may be about a second one. */
const addCommands = async (word: string | undefined, about: string | undefined): Promise<void> => {
  const named = word !== undefined && Object.hasOwn(commands, word) ? commands[word] : undefined
  for (const load of named === undefined ? Object.values(commands) : [named]) {
    const command = await load()
    inherit(command)
    program.addCommand(command)
  }
  if (word === 'help' && about !== undefined && !Object.hasOwn(commands, about))
    program.error(`unknown command '${about}'`)
}

/** A command that the other side refused, that found nobody there or no room for its output: nothing that a trace would explain. */
const isExpected = (error: unknown): error is Error =>
  isClientError(error) ||
  error instanceof HttpFailure ||
  error instanceof CommandFailed ||
  error instanceof OutputFailed

/** Every way out: settings and starts that cannot be end in one line, bugs in a trace, and the supervisor restarts us. */
const fail = (error: unknown): void => {
  // help was asked for: the end comes by itself, once it is written
  if (error instanceof CommanderError && error.exitCode === 0) return
  if (isExpected(error)) {
    const hint =
      error instanceof ConnectionLost ? '; is the gateway running, and is --bootstrap its Kafka listener?' : ''
    process.stderr.write(`brooklet: ${error.message}${hint}\n`)
    process.exit(error instanceof OutputFailed ? exitOutput : exitFailed)
  }
  if (error instanceof CommanderError) process.exit(exitUsage)
  if (error instanceof StartError) {
    process.stderr.write(`brooklet: ${error.message}\n`)
    process.exit(error.exitCode)
  }
  process.stderr.write(`brooklet: a bug, please report it: ${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(exitBug)
}

host.onBug(fail)
// whoever read our output has seen enough (`| head`)
host.onOutputClosed(() => process.exit(0))
await addCommands(process.argv[2], process.argv[3])
  .then(() => program.parseAsync())
  .catch(fail)
