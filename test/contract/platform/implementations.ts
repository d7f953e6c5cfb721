import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LockDirectory } from '../../../src/platform/lock.ts'
import { lockNodeDirectory } from '../../../src/platform/node/lock.ts'
import { nodePlatform } from '../../../src/platform/node/platform.ts'
import type { Platform } from '../../../src/platform/platform.ts'
import { silentLogger } from '../../support/silent-logger.ts'
import { SimMachine } from '../../support/sim/machine.ts'

/** What a contract test gets: a platform and an empty directory on it. */
export interface Bench {
  readonly platform: Platform
  readonly lockDirectory: LockDirectory
  readonly directory: string
}

export interface Implementation {
  readonly name: string
  /** Runs a test body on a bench of its own. */
  run(body: (bench: Bench) => Promise<void>): Promise<void>
}

const node: Implementation = {
  name: 'node',
  async run(body) {
    const directory = await mkdtemp(join(tmpdir(), 'brooklet-contract-'))
    try {
      await body({ platform: nodePlatform(silentLogger), lockDirectory: lockNodeDirectory, directory })
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
}

const simulated: Implementation = {
  name: 'simulated',
  async run(body) {
    const machine = new SimMachine(1)
    machine.disk.makeDirectory('/data')
    const { platform, lockDirectory } = machine
    await machine.clock.run(body({ platform, lockDirectory, directory: '/data' }))
  },
}

export const implementations: readonly Implementation[] = [node, simulated]
