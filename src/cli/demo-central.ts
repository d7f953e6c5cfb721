import { type Gateway, startGateway } from '../gateway.ts'
import type { ListenAddress } from '../platform/network.ts'
import type { Platform } from '../platform/platform.ts'
import { DemoLink } from './demo-link.ts'
import { demoSettings, freeListenUrl } from './demo-settings.ts'

const addressOf = (text: string): ListenAddress => {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
}

/** Another Brooklet as the central cluster: everybody reaches it at one address, the gateway only over the link. */
export class DemoCentral {
  readonly link: DemoLink
  readonly #gateway: Gateway

  static async start(directory: string, platform: Platform): Promise<DemoCentral> {
    const link = await DemoLink.open(platform.network)
    const { host, port } = link.address
    const settings = await demoSettings(directory, [
      `kafka.listen=${await freeListenUrl('plaintext', 9192)},plaintext://127.0.0.1:0`,
      `kafka.advertised=plaintext://127.0.0.1:0,plaintext://${host}:${port}`,
      'mqtt.listen=mqtt://127.0.0.1:0',
      'http.listen=http://127.0.0.1:0',
    ])
    const gateway = await startGateway(settings, platform)
    link.target = addressOf(gateway.addresses.kafka.split(',')[1]!)
    return new DemoCentral(link, gateway)
  }

  private constructor(link: DemoLink, gateway: Gateway) {
    this.link = link
    this.#gateway = gateway
  }

  /** `host:port` for Kafka clients. */
  get address(): string {
    return this.#gateway.addresses.kafka.split(',')[0]!
  }

  async stop(): Promise<void> {
    await this.link.close()
    await this.#gateway.stop()
  }
}
