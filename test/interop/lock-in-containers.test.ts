import { afterEach, describe, expect } from 'vitest'
import { Gateway, runBrooklet, serveArguments } from '../support/gateway.ts'
import { requireTool } from '../support/tools.ts'

const test = requireTool('unshare')
// as in two containers on one volume: each process is number 1 of its own process namespace
const container = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']

describe('a data directory shared by two containers', () => {
  let gateway: Gateway | undefined

  afterEach(() => gateway?.dispose())

  test('is refused to the second one while the first one lives, and free when it was killed', async () => {
    gateway = await Gateway.start({ prefix: container })
    const second = await runBrooklet(serveArguments(gateway.dataDirectory), { prefix: container })
    expect(second.code).toBe(65)
    expect(second.stderr).toContain('is in use by another Brooklet')
    await gateway.kill()
    await gateway.restart()
    expect(gateway.addresses.kafka).not.toBe('')
  })
})
