import { expect, it } from 'vitest'
import type { UplinkSummary } from '../../src/broker/uplink-summary.ts'
import { freePorts } from '../support/free-ports.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'

it('without its central cluster a gateway takes records, says what waits and why, and stops cleanly', async () => {
  const [port] = await freePorts(1)
  const gateway = await Gateway.start({ settings: { 'uplink.bootstrap.servers': `127.0.0.1:${port}` } })
  try {
    const { kafka, http } = gateway.addresses
    await runBrooklet(['produce', 'sensors', 'a value', '--bootstrap', kafka])
    const status = async (): Promise<string> => (await runBrooklet(['uplink', 'status', '--http', http])).stdout
    // the first attempt may be under way
    await expect.poll(status).toContain('last error: ')
    const stdout = await status()
    expect(stdout).toContain('1 record not upstream')
    expect(stdout).toContain(`last error: cannot connect to 127.0.0.1:${port}: connection refused (ECONNREFUSED)`)
    const { stdout: json } = await runBrooklet(['uplink', 'status', '--http', http, '--json'])
    const [summary] = JSON.parse(json) as [UplinkSummary]
    const lagging = summary.partitions.filter(({ lagRecords }) => lagRecords > 0)
    expect(lagging).toMatchObject([
      { topic: 'sensors', target: 'sensors', upstreamOffset: 0, lagRecords: 1, error: null },
    ])
    const skip = await runBrooklet(['uplink', 'skip', 'sensors', '0', '--yes', '--http', http])
    expect([skip.code, skip.stderr]).toEqual([1, expect.stringContaining('is not refused by the central cluster')])
    const readiness = (await (await fetch(`${gateway.httpUrl}/readyz`)).json()) as { ready: boolean; checks: object[] }
    expect(readiness.ready).toBe(true)
    expect(readiness.checks).toContainEqual(expect.objectContaining({ name: 'uplink', ok: true }))
    expect(await gateway.stop()).toEqual({ code: 0, signal: null })
  } finally {
    await gateway.dispose()
  }
})

it('an uplink that was paused stays so over a restart, and goes on when it is resumed', async () => {
  const [port] = await freePorts(1)
  const gateway = await Gateway.start({ settings: { 'uplink.bootstrap.servers': `127.0.0.1:${port}` } })
  const uplink = async (name: string) => (await runBrooklet(['uplink', name, '--http', gateway.addresses.http])).stdout
  try {
    const paused = await uplink('pause')
    expect(paused).toMatch(/^paused, /)
    expect(paused).toContain('nothing goes up until `brooklet uplink resume`, also after restarts')
    await gateway.kill()
    await gateway.restart()
    expect(await uplink('status')).toMatch(/^paused, /)
    const { checks } = (await (await fetch(`${gateway.httpUrl}/readyz`)).json()) as { checks: object[] }
    expect(checks).toContainEqual({ name: 'uplink', ok: true, detail: 'paused' })
    expect(await (await fetch(`${gateway.httpUrl}/metrics`)).text()).toContain('brooklet_uplink_paused 1')
    expect(await uplink('resume')).toMatch(/^(connecting|waiting), /)
    expect(await uplink('status')).not.toContain('paused')
    expect(await gateway.stop()).toEqual({ code: 0, signal: null })
  } finally {
    await gateway.dispose()
  }
})

it('a gateway without uplink says so', async () => {
  const gateway = await Gateway.start()
  try {
    const { code, stderr } = await runBrooklet(['uplink', 'status', '--http', gateway.addresses.http])
    expect(code).toBe(1)
    expect(stderr).toContain('there is no uplink: set uplink.bootstrap.servers')
    const pause = await runBrooklet(['uplink', 'pause', '--http', gateway.addresses.http])
    expect([pause.code, pause.stderr]).toEqual([1, expect.stringContaining('there is no uplink')])
  } finally {
    await gateway.dispose()
  }
})
