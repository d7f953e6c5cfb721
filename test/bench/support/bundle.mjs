// TypeScript of this checkout for benches, because Node 20 runs none: bundled into a file that goes with the process.
import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../../../', import.meta.url))

const bundled = async (input, outfile) => {
  mkdirSync(dirname(outfile), { recursive: true })
  process.once('exit', () => rmSync(outfile, { force: true }))
  const form = {
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    packages: 'external',
    logLevel: 'warning',
  }
  await build({ ...input, ...form, outfile })
  return outfile
}

/** Path of the program in `test/bench/support/NAME`, bundled. */
export const bundledProgram = name =>
  bundled(
    { entryPoints: [`${root}test/bench/support/${name}`] },
    `${root}node_modules/.cache/bench/${process.pid}-${name}`,
  )

/** What `exports` names, from files of this checkout; they find what they look for beside themselves as seen from `test/bench`. */
export const loadParts = async exports => {
  const contents = Object.entries(exports)
    .map(([name, path]) => `export { ${name} } from './${path}'`)
    .join('\n')
  const stdin = { contents, resolveDir: root, loader: 'ts' }
  return import(await bundled({ stdin }, `${root}test/bench/.parts-${process.pid}.mjs`))
}
