import { pino } from 'pino'
import type { Logger } from '../logger.ts'
import { LineOutput } from './line-output.ts'

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** JSON lines for machines, pretty for a terminal. */
  readonly format: 'json' | 'pretty'
}

const wrap = (log: pino.Logger): Logger => ({
  debug: (fields, event) => log.debug(fields, event),
  info: (fields, event) => log.info(fields, event),
  warn: (fields, event) => log.warn(fields, event),
  error: (fields, event) => log.error(fields, event),
  child: part => wrap(log.child({ part })),
})

const lostLines = (lines: number): string =>
  `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), lines, msg: 'lines of the log could not be written' })}\n`

/** Writes to stderr, synchronously: the last line before a crash is the one that matters. A log that cannot be written ends nothing. */
export const openLogger = async ({ level, format }: LogOptions): Promise<Logger> => {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: level => ({ level }) },
  }
  return wrap(pino(options, format === 'pretty' ? await openPretty() : new LineOutput(2, lostLines)))
}

/** Loaded only where somebody looks. */
const openPretty = async (): Promise<pino.DestinationStream> => {
  const { PinoPretty } = await import('pino-pretty')
  // https://no-color.org: set, and not empty
  const colorize = !process.env['NO_COLOR']
  const look = { colorize, singleLine: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'part' }
  return PinoPretty({ ...look, destination: 2, sync: true })
}
