import type { Connection, ListenAddress, Listener, Network } from '../platform/network.ts'

const connectTimeoutMs = 5_000

/** The link between the gateway and its central cluster: a relay that can be cut. */
export class DemoLink {
  /** Where it leads to. */
  target: ListenAddress | undefined
  readonly #network: Network
  readonly #connections = new Set<Connection>()
  #listener!: Listener
  #isCut = false

  static async open(network: Network): Promise<DemoLink> {
    const link = new DemoLink(network)
    link.#listener = await network.listen({ host: '127.0.0.1', port: 0 }, near => void link.#relay(near))
    return link
  }

  private constructor(network: Network) {
    this.#network = network
  }

  get address(): ListenAddress {
    return this.#listener.address
  }

  get isCut(): boolean {
    return this.#isCut
  }

  /** Ends all connections, and each new one at once. */
  cut(): void {
    this.#isCut = true
    for (const connection of this.#connections) connection.destroy()
  }

  restore(): void {
    this.#isCut = false
  }

  async close(): Promise<void> {
    this.cut()
    await this.#listener.close()
  }

  async #relay(near: Connection): Promise<void> {
    this.#keep(near)
    near.pause()
    try {
      if (this.#isCut || this.target === undefined) throw new Error('the link is cut')
      const far = await this.#network.connect(this.target, connectTimeoutMs)
      this.#keep(far)
      join(near, far)
      join(far, near)
      // cut meanwhile
      if (this.#isCut) far.destroy()
      near.resume()
    } catch {
      near.destroy()
    }
  }

  #keep(connection: Connection): void {
    this.#connections.add(connection)
    connection.onClose(() => this.#connections.delete(connection))
  }
}

/** What one side says the other hears, as fast as it takes it; the end of one is that of the other. */
const join = (from: Connection, to: Connection): void => {
  from.onData(chunk => {
    if (!to.write([chunk])) from.pause()
  })
  to.onDrain(() => from.resume())
  from.onClose(() => to.destroy())
}
