import { copyFile, mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const cache = file('../../node_modules/.cache/')

/** A gateway with something broken on purpose. */
export interface BundledGateway {
  /** To be removed by the caller; it may hold more than the program. */
  readonly directory: string
  readonly program: string
}

/** Bundles a program of this directory, because Node 20 runs no TypeScript; beside the packages that it imports. */
export const bundleGateway = async (name: string): Promise<BundledGateway> => {
  await mkdir(cache, { recursive: true })
  const directory = await mkdtemp(join(cache, 'brooklet-bundle-'))
  const program = join(directory, 'gateway.mjs')
  await build({
    entryPoints: [file(`./${name}`)],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  })
  for (const part of ['commit-thread.mjs', 'checkpoint-trial.mjs']) {
    await copyFile(file(`../../src/platform/node/${part}`), join(directory, part))
  }
  return { directory, program }
}
