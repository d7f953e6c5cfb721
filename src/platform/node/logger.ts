import { pino } from 'pino'
import type { Logger } from '../logger.ts'

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

/** Writes to stderr, synchronously: the last line before a crash is the one that matters. */
export const openLogger = async ({ level, format }: LogOptions): Promise<Logger> => {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: level => ({ level }) },
  }
  const stream = format === 'pretty' ? await openPretty() : pino.destination({ dest: 2, sync: true })
  return wrap(pino(options, stream))
}

/** Loaded only where somebody looks. */
const openPretty = async (): Promise<pino.DestinationStream> => {
  const { PinoPretty } = await import('pino-pretty')
  return PinoPretty({ destination: 2, sync: true, colorize: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'part' })
}
