import type { Connection, ListenAddress, Listener, Network } from '../../src/platform/network.ts'
import { nodeNetwork } from '../../src/platform/node/network.ts'
import type { SimRandom } from './sim/random.ts'

/** The loopback network with connections that end at bad moments: before a request leaves, or after it has, without its answer. */
export class FlakyNetwork implements Network {
  /** Share of writes at which the connection ends. */
  cuts = 0
  /** Connections ended so far. */
  ended = 0
  readonly #random: SimRandom

  constructor(random: SimRandom) {
    this.#random = random
  }

  listen(address: ListenAddress, onConnection: (connection: Connection) => void): Promise<Listener> {
    return nodeNetwork.listen(address, onConnection)
  }

  async connect(address: ListenAddress, timeoutMs: number): Promise<Connection> {
    const connection = await nodeNetwork.connect(address, timeoutMs)
    return new Proxy(connection, {
      get: (target, name) => {
        if (name === 'write') return (chunks: readonly Uint8Array[]) => this.#write(target, chunks)
        const member: unknown = Reflect.get(target, name, target)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
  }

  #write(connection: Connection, chunks: readonly Uint8Array[]): boolean {
    if (!this.#random.chance(this.cuts)) return connection.write(chunks)
    this.ended++
    if (this.#random.chance(0.7)) {
      connection.write(chunks)
      // the request arrives, nobody hears the answer
      connection.end()
    } else {
      connection.destroy()
    }
    return true
  }
}
