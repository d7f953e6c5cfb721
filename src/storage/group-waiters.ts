import { type GroupNumber, groupNumber } from '../core/brand.ts'
import type { BrokerError } from '../core/errors.ts'

interface Waiter {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: BrokerError): void
}

/** Who waits for which group to come so far (to be ackable, to be durable); one promise a group, however many wait. */
export class GroupWaiters {
  readonly #waiters = new Map<number, Waiter>()
  #failure: BrokerError | undefined

  wait(group: GroupNumber): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    let waiter = this.#waiters.get(group)
    if (waiter === undefined) {
      let resolve = (): void => {}
      let reject = (_: BrokerError): void => {}
      const promise = new Promise<void>((onDone, onFailed) => {
        resolve = onDone
        reject = onFailed
      })
      this.#waiters.set(group, (waiter = { promise, resolve, reject }))
    }
    return waiter.promise
  }

  /** Everything before `group` was resolved already; now `group` has come so far too. */
  resolveThrough(group: number): void {
    for (let number = group; ; number--) {
      const waiter = this.#waiters.get(groupNumber(number))
      if (waiter === undefined) return
      this.#waiters.delete(number)
      waiter.resolve()
    }
  }

  /** No more group will. */
  rejectAll(error: BrokerError): void {
    this.#failure = error
    for (const waiter of this.#waiters.values()) waiter.reject(error)
    this.#waiters.clear()
  }
}
