import type { ValueType } from './value-types.ts'

/** One row of the table: everything that is known about a setting. File key = the row's key; flag and variable follow from it. */
export interface Setting<Value> {
  readonly type: ValueType<Value>
  readonly fallback: Value
  /** One line, for `--help` and the reference. */
  readonly help: string
  /** More for the reference page, where a line is not enough. */
  readonly docs?: string
  /** Its name as a Kafka broker config, where Kafka has it. */
  readonly kafka?: string
  /** Never printed, logged or served. */
  readonly secret?: true
  /** A change takes effect without a restart. */
  readonly live?: true
}

type Details = Omit<Setting<unknown>, 'type' | 'fallback' | 'help'>

/** A row of a table of settings. */
export const row = <Value>(
  type: ValueType<Value>,
  fallback: NoInfer<Value>,
  help: string,
  details: Details = {},
): Setting<Value> => ({
  type,
  fallback,
  help,
  ...details,
})
