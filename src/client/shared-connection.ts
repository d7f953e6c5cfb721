import type { BrokerConnection } from './broker-connection.ts'

/** One connection that many use: opened when it is first wanted, again after it was lost, never twice at once. */
export class SharedConnection {
  #opening: Promise<BrokerConnection> | undefined
  #present: BrokerConnection | undefined

  /** The connection, opened by `open` if there is none that can be used. */
  get(open: () => Promise<BrokerConnection>): Promise<BrokerConnection> {
    if (this.#opening !== undefined) return this.#opening
    if (this.#present?.usable) return Promise.resolve(this.#present)
    const opening = open().then(
      connection => {
        this.#present = connection
        this.#opening = undefined
        return connection
      },
      (error: unknown) => {
        this.#opening = undefined
        throw error
      },
    )
    this.#opening = opening
    return opening
  }

  close(): void {
    this.#present?.close()
    this.#opening?.then(
      connection => connection.close(),
      () => undefined,
    )
  }
}
