import { defineConfig } from 'vitest/config'

const project = (name: string, folders: string[], testTimeout: number) => ({
  test: { name, include: folders.map(folder => `test/${folder}/**/*.test.ts`), testTimeout, hookTimeout: testTimeout },
})

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project('unit', ['unit', 'contract', 'architecture'], 20_000),
      project('sim', ['sim'], 120_000),
      project('e2e', ['e2e', 'fault'], 120_000),
      project('interop', ['interop'], 300_000),
    ],
  },
})
