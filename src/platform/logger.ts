/** Structured log to stderr. `event` is one plain sentence without the values; the values go into `fields`. */
export interface Logger {
  debug(fields: object, event: string): void
  info(fields: object, event: string): void
  warn(fields: object, event: string): void
  error(fields: object, event: string): void
  /** A logger whose lines carry `part`, the layer that speaks. */
  child(part: string): Logger
}
