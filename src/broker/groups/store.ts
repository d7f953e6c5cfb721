import { BrokerError, type ErrorKind } from '../../core/errors.ts'
import type { GroupsView } from '../../state/groups.ts'
import type { StateLog } from '../../state/state-log.ts'
import type { StateChange } from '../../state/view.ts'
import type { Group } from './group.ts'

/** Changes in one group of the log, so that a large removal stays far below the largest group. */
export const changesPerWrite = 1000

const storageKinds: ReadonlySet<ErrorKind> = new Set(['storageFull', 'storageFailed', 'memoryFull'])

/** The groups view and its way to the log, with errors that members of a group understand. */
export class GroupStore {
  readonly view: GroupsView
  readonly #stateLog: StateLog

  constructor(stateLog: StateLog, view: GroupsView) {
    this.#stateLog = stateLog
    this.view = view
  }

  /** Throws what members are told while nothing can be stored: whoever joined would wait for an assignment that never comes. */
  checkWritable(): void {
    if (this.#stateLog.writable) return
    throw new BrokerError(
      'coordinatorUnavailable',
      'groups cannot be stored: the log cannot be written until a restart',
    )
  }

  /** Whole seconds of log age. */
  get logAge(): number {
    return Math.floor(this.#stateLog.logAge)
  }

  /** All changes in one group of the log, visible in the view when this returns. Resolves when durable. Rejects before anything changed. */
  async write(changes: readonly StateChange[]): Promise<void> {
    if (changes.length === 0) return
    try {
      await this.#stateLog.whenDurable(this.#stateLog.write(changes))
    } catch (error) {
      throw memberError(error)
    }
  }

  /** In groups of `changesPerWrite`; resolves when all are durable. */
  async writeMany(changes: readonly StateChange[]): Promise<void> {
    const written: Promise<void>[] = []
    for (let at = 0; at < changes.length; at += changesPerWrite) {
      written.push(this.write(changes.slice(at, at + changesPerWrite)))
    }
    await Promise.all(written)
  }

  /** Resolves when everything that the view shows now is durable. */
  async durable(): Promise<void> {
    try {
      await this.#stateLog.durable(this.view)
    } catch (error) {
      throw memberError(error)
    }
  }

  /** Stores the group as it stands, with `assignments` in place of those that the members have. */
  saveGroup(group: Group, assignments?: ReadonlyMap<string, Buffer>): Promise<void> {
    return this.write([this.view.putMetadata(group.groupId, group.metadata(assignments))])
  }
}

/** A broken invariant goes on as it is: it ends the process. */
export function asBrokerError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error
  throw error
}

/** Storage trouble becomes the one kind after which every client looks for its coordinator again and retries. */
function memberError(error: unknown): unknown {
  if (!(error instanceof BrokerError) || !storageKinds.has(error.kind)) return error
  return new BrokerError('coordinatorUnavailable', `the group could not be stored: ${error.message}`)
}
