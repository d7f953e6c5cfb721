import { type LoadedSettings, loadSettings } from '../config/load.ts'
import { host } from '../platform/node/host.ts'
import { nodeNetwork } from '../platform/node/network.ts'

/** The default port, or a free one when somebody has it. */
export const freeListenUrl = async (scheme: string, port: number): Promise<string> => {
  try {
    const listener = await nodeNetwork.listen({ host: '127.0.0.1', port }, connection => connection.destroy())
    await listener.close()
    return `${scheme}://127.0.0.1:${port}`
  } catch {
    return `${scheme}://127.0.0.1:0`
  }
}

/** Settings of a gateway of the demo: those of its own (`KEY=VALUE`) and what all have. */
export const demoSettings = async (directory: string, own: readonly string[]): Promise<LoadedSettings> =>
  loadSettings({
    environment: {},
    flags: new Map(),
    set: [`data.dir=${directory}`, 'disk.budget=256MiB', 'group.initial.rebalance.delay.ms=0', ...own],
    memoryBytes: host.memoryBytes(),
    diskBytes: host.fileSystemBytes,
  })
