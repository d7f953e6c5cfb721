// npm run soak -- NAME: long runs of what a build only samples. Ends with what was run, and with exit code 1 when something failed.
import { execFileSync, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A program of this directory, bundled, because Node 20 runs no TypeScript; beside the packages that it imports. */
const program = async (name, environment) => {
  const outfile = `${root}node_modules/.soak-${name}-${process.pid}.mjs`
  await build({
    entryPoints: [`${root}test/soak/${name}.ts`],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    logLevel: 'warning',
  })
  return run([outfile], environment).finally(() => rmSync(outfile, { force: true }))
}

const run = (args, environment = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      stdio: 'inherit',
      cwd: root,
      env: { ...process.env, ...environment },
    })
    child.once('error', reject)
    child.once('close', code => resolve(code ?? 1))
  })

const vitest = (file, environment) =>
  run(['node_modules/vitest/vitest.mjs', 'run', '--project', 'e2e', file], environment)

const soaks = {
  crash: ['100,000 crash points of the simulated disk (COUNT, SEED)', () => program('crash')],
  relaxed: [
    'the same where half of the topics have durability=relaxed (COUNT, SEED)',
    () => program('crash', { RELAXED: 'true' }),
  ],
  uplink: ['5,000 seeds of the uplink against a simulated cluster (COUNT, SEED)', () => program('uplink')],
  downlink: ['5,000 seeds of the downlink, its deliver rules and its devices (COUNT, SEED)', () => program('downlink')],
  links: [
    'an hour of 10 devices over each kind of link to Apache Kafka (READINGS, 36000; needs root for packets)',
    () =>
      run(
        [
          'node_modules/vitest/vitest.mjs',
          'run',
          '--project',
          'interop',
          '--testTimeout=3600000',
          'test/interop/uplink-links.test.ts',
        ],
        {
          READINGS: process.env['READINGS'] ?? '36000',
        },
      ),
  ],
  flips: [
    'one bit in every 7th byte of a small log (FLIP_STRIDE)',
    () =>
      run(
        [
          'node_modules/vitest/vitest.mjs',
          'run',
          '--project',
          'sim',
          '--testTimeout=36000000',
          'test/sim/bit-flips.test.ts',
        ],
        { FLIP_STRIDE: process.env['FLIP_STRIDE'] ?? '7' },
      ),
  ],
  kill: [
    '200 kill -9 of the real process under load, and 200 more on a full log (KILL_CYCLES, SEED)',
    () => vitest('test/fault/kill.test.ts', { KILL_CYCLES: process.env['KILL_CYCLES'] ?? '200' }),
  ],
  fuse: [
    '100 power cuts under the real process, on a file system that forgets (CUT_CYCLES, SEED; needs root and /dev/fuse)',
    () => vitest('test/fault/power-cut.test.ts', { CUT_CYCLES: process.env['CUT_CYCLES'] ?? '100' }),
  ],
  mqtt: [
    '1,000 simulated devices with subscribers and a consumer group: ledger, RSS and descriptors (MINUTES, 60; RATE)',
    () => vitest('test/e2e/mqtt-fleet.test.ts', { MINUTES: process.env['MINUTES'] ?? '60' }),
  ],
}

const name = process.argv[2] ?? ''
if (!Object.hasOwn(soaks, name)) {
  for (const [each, [help]] of Object.entries(soaks)) console.log(`npm run soak -- ${each.padEnd(8)} ${help}`)
  process.exit(name === '' ? 0 : 64)
}
const commit = execFileSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' }).trim()
const startedAt = Date.now()
console.log(`soak ${name}, commit ${commit}, Node ${process.version}`)
const code = await soaks[name][1]()
const took = Math.round((Date.now() - startedAt) / 1000)
console.log(`soak ${name}, commit ${commit}: ${code === 0 ? 'passed' : 'FAILED'}, ${took} s`)
process.exit(code)
