import { chmod, copyFile, rm } from 'node:fs/promises'
import { build } from 'esbuild'

// dependencies stay outside the bundle: several carry native binaries that are looked up beside their own package
await rm('dist', { recursive: true, force: true })
await build({
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
})
// a worker thread is loaded as a file, found beside the file that starts it
await copyFile('src/platform/node/commit-thread.mjs', 'dist/commit-thread.mjs')
await chmod('dist/main.js', 0o755)
