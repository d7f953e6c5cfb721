import { describe, expect, it } from 'vitest'
import type { Connection } from '../../../src/platform/network.ts'
import { implementations } from './implementations.ts'

const loopback = { host: '127.0.0.1', port: 0 }

describe.each(implementations)('Network: $name', ({ run }) => {
  it('carries bytes both ways, in order, then closes both sides', () =>
    run(async ({ platform: { network } }) => {
      let closed = 0
      const bothClosed = new Promise<void>(resolve => {
        const close = () => {
          if (++closed === 2) resolve()
        }
        const accept = (connection: Connection) => {
          connection.onClose(close)
          connection.onData(chunk => connection.write([Buffer.from('echo:'), chunk]))
        }
        void (async () => {
          const listener = await network.listen(loopback, accept)
          expect(listener.address.port).toBeGreaterThan(0)
          const connection = await network.connect(listener.address, 5000)
          connection.onClose(close)
          let received = ''
          connection.onData(chunk => {
            received += chunk.toString()
            if (received.replaceAll('echo:', '') !== 'hello, world') return
            connection.end()
            void listener.close()
          })
          connection.write([Buffer.from('hello, '), Buffer.from('world')])
        })()
      })
      await bothClosed
    }))

  it('rejects where nobody listens, and where somebody already does', () =>
    run(async ({ platform: { network } }) => {
      const listener = await network.listen(loopback, () => {})
      await expect(network.listen(listener.address, () => {})).rejects.toMatchObject({ code: 'EADDRINUSE' })
      await listener.close()
      await expect(network.connect(listener.address, 5000)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    }))
})
