import { chmod, copyFile, readdir, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { build } from 'esbuild'

// dependencies stay outside the bundle: several carry native binaries that are looked up beside their own package
const { metafile } = await build({
  entryPoints: { main: 'src/main.ts' },
  outdir: 'dist',
  bundle: true,
  // commands are loaded when they are asked for
  splitting: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  sourcemap: true,
  banner: { js: '#!/usr/bin/env node' },
  logLevel: 'warning',
  metafile: true,
})
// a worker thread and a child process are loaded as files, found beside the file that starts them
const loadedFiles = ['commit-thread.mjs', 'checkpoint-trial.mjs']
for (const name of loadedFiles) await copyFile(`src/platform/node/${name}`, `dist/${name}`)
await chmod('dist/main.js', 0o755)
// what an earlier build left goes last: a gateway that starts meanwhile finds its files
const made = new Set([...loadedFiles, ...Object.keys(metafile.outputs).map(path => basename(path))])
for (const name of await readdir('dist')) if (!made.has(name)) await rm(`dist/${name}`, { recursive: true })
