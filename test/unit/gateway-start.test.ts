import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type LoadedSettings, loadSettings } from '../../src/config/load.ts'
import { StartError } from '../../src/core/errors.ts'
import { startGateway } from '../../src/gateway.ts'
import { nodePlatform } from '../../src/platform/node/platform.ts'
import { failingPlatform } from '../support/failing-platform.ts'
import { silentLogger } from '../support/silent-logger.ts'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-gateway-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const settings = (): LoadedSettings =>
  loadSettings({
    environment: {},
    flags: new Map(),
    set: [
      `data.dir=${directory}/data`,
      'disk.budget=64MiB',
      'commit.max.bytes=64KiB',
      'mqtt.listen=mqtt://127.0.0.1:0,ws://127.0.0.1:0',
      'kafka.listen=plaintext://127.0.0.1:0,plaintext://127.0.0.1:0',
      'http.listen=127.0.0.1:0',
    ],
    memoryBytes: 1 << 30,
    diskBytes: () => undefined,
  })

const node = nodePlatform(silentLogger)

/** Lets call number 1, 2, ... of the platform fail, until a start makes fewer calls than that. */
const failEach = async (code: string): Promise<void> => {
  const loaded = settings()
  let isDone = false
  for (let call = 1; !isDone; call++) {
    const { platform, open, failed } = failingPlatform(node, call, code)
    let gateway: Awaited<ReturnType<typeof startGateway>> | undefined
    try {
      gateway = await startGateway(loaded, platform)
    } catch (error) {
      expect(error, `${code} at call ${call} (${failed()}) is no bug: ${(error as Error).stack}`).toBeInstanceOf(
        StartError,
      )
    }
    isDone = failed() === undefined
    if (gateway !== undefined) await gateway.stop()
    expect([...open], `left open after ${code} at call ${call} (${failed()})`).toEqual([])
    expect(existsSync(`${directory}/data/LOCK`), `lock after ${code} at call ${call} (${failed()})`).toBe(false)
  }
}

// some sixty starts each
const timeoutMs = 120_000

it('a first start that fails at any call leaves nothing open, and says what to do', () => failEach('EIO'), timeoutMs)

it(
  'a later start that fails at any call leaves nothing open, and says what to do',
  async () => {
    const gateway = await startGateway(settings(), node)
    expect(await gateway.stop()).toBe(true)
    await failEach('EIO')
  },
  timeoutMs,
)
