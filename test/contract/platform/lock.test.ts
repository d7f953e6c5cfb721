import { describe, expect, it } from 'vitest'
import { implementations } from './implementations.ts'

describe.each(implementations)('LockDirectory: $name', ({ run }) => {
  it('is held once, and free again after release', () =>
    run(async ({ lockDirectory, directory }) => {
      const first = await lockDirectory(directory)
      expect(first).toBeDefined()
      expect(await lockDirectory(directory)).toBeUndefined()
      await first!.release()
      const second = await lockDirectory(directory)
      expect(second).toBeDefined()
      await second!.release()
    }))
})
