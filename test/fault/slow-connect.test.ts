import dns from 'node:dns'
import { expect, vi } from 'vitest'
import { nodeNetwork } from '../../src/platform/node/network.ts'
import { LinkNamespace, requireLinkNamespace } from '../support/link-namespace.ts'
import { startProgram } from '../support/tools.ts'

requireLinkNamespace()(
  'a name with several addresses is reached though its first one takes longer than 250 ms',
  async () => {
    const link = LinkNamespace.create()
    const port = 9092
    const listener = `require('net').createServer().listen(${port}, () => console.log('ready'))`
    const [command, ...words] = [...link.prefix, process.execPath, '-e', listener]
    const server = startProgram(command!, words)
    // the second address is this machine, where nobody listens
    const addresses = [link.inside, '127.0.0.1'].map(address => ({ address, family: 4 }))
    type Found = (error: null, found: typeof addresses) => void
    const lookup = vi
      .spyOn(dns, 'lookup')
      .mockImplementation(((_name: string, _options: object, found: Found) =>
        found(null, addresses)) as unknown as typeof dns.lookup)
    try {
      await expect.poll(server.lines).toContain('ready')
      link.blackHole()
      const connecting = nodeNetwork.connect({ host: 'central.test', port }, 60_000)
      connecting.catch(() => undefined)
      await new Promise(resolve => setTimeout(resolve, 500))
      link.restore()
      const connection = await connecting
      expect(connection.remote).toBe(`${link.inside}:${port}`)
      connection.destroy()
    } finally {
      lookup.mockRestore()
      await server.stop()
      link.remove()
    }
  },
)
