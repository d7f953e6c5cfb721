import { openLmdbCheckpoints } from '../../src/platform/node/checkpoint-store.ts'
import { silentLogger } from '../support/silent-logger.ts'

// bundled and run by checkpoint-damage.test.ts: opens the store, says how many entries it found, writes, ends as told
const [directory, ending] = process.argv.slice(2)
const entryCount = 200
const store = await openLmdbCheckpoints(silentLogger)(directory!, 16 * 1024 * 1024)
const found = [...store.entries('')].filter(([key, value]) => value.equals(Buffer.alloc(3000, key))).length
process.stdout.write(`found ${found}\n`)
const entries = Array.from({ length: entryCount }, (_, index) => `view/${index}`)
await store.write(new Map(entries.map(key => [key, Buffer.alloc(3000, key)])))
if (ending === 'kill') process.kill(process.pid, 'SIGKILL')
await store.close()
