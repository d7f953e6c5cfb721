import { defineConfig } from 'vitest/config'

// Real sockets and processes on a shared machine of two cores: under CI a second try is granted, and printed. Seeded simulation has none.
const retryInCi = process.env['CI'] === 'true' ? 1 : 0

const project = (name: string, folders: string[], testTimeout: number, retry: number) => ({
  test: {
    name,
    include: folders.map(folder => `test/${folder}/**/*.test.ts`),
    testTimeout,
    hookTimeout: testTimeout,
    retry,
    // what is waited for may take long on a busy machine
    expect: { poll: { timeout: Math.min(testTimeout * 0.8, 60_000) } },
  },
})

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project('unit', ['unit', 'contract', 'architecture', 'conformance'], 30_000, retryInCi),
      project('sim', ['sim'], 120_000, 0),
      project('e2e', ['e2e', 'fault'], 120_000, retryInCi),
      project('interop', ['interop'], 300_000, retryInCi),
    ],
  },
})
