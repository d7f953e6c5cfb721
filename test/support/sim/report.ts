import type { SimMachine } from './machine.ts'

/** Runs `body`; what it throws tells the last things that happened to the disk. All of them with SEED set. */
export const reportHistory = async <T>(machine: SimMachine, body: () => Promise<T>): Promise<T> => {
  try {
    return await body()
  } catch (error) {
    const lines = machine.disk.history.slice(process.env['SEED'] === undefined ? -12 : 0)
    const text = lines.map(line => `    ${line}`).join('\n')
    throw new Error(`${(error as Error).message}\n  what happened before:\n${text}`, { cause: error })
  }
}
