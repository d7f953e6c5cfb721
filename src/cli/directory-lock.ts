import { StartError } from '../core/errors.ts'
import { nodeFiles } from '../platform/node/files.ts'
import { lockNodeDirectory } from '../platform/node/lock.ts'
import { logDirectory, unusableDirectory } from '../storage/data-directory.ts'

/** Nobody else writes while this runs: no gateway and no other command. In a directory of others no lock is made. `advice` is for whose gateway runs. */
export const withLock = async (directory: string, advice: string, work: () => Promise<void>): Promise<void> => {
  if (!(await nodeFiles.exists(logDirectory(directory)))) {
    throw new StartError(65, `${directory} holds no Brooklet log; name the data.dir of a gateway`)
  }
  const lock = await lockNodeDirectory(directory).catch(error => {
    throw unusableDirectory(directory, error)
  })
  if (lock === undefined) {
    throw new StartError(65, `${directory} is in use: stop the gateway first; ${advice}`)
  }
  try {
    await work()
  } finally {
    await lock.release()
  }
}
