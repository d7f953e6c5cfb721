// Opens a checkpoint store as the gateway will, reads every entry and writes one, in a process of its own: a damaged LMDB file can end that.
// Plain JavaScript, loaded from the sources and from beside dist/main.js. argv: directory, map size in bytes. Exit 0: the gateway may open it.
import { open } from 'lmdb'

const [directory, mapSize] = process.argv.slice(2)
const environment = open({
  path: directory,
  noSubdir: false,
  mapSize: Number(mapSize),
  encoding: 'binary',
  overlappingSync: false,
  eventTurnBatching: false,
  maxReaders: 8,
  cache: false,
})
let bytes = 0
for (const { value } of environment.getRange({ snapshot: true })) for (const byte of value) bytes += byte & 1
// a file system without room is no damage
await environment.put('\u0001trial', Buffer.from([bytes & 1])).catch(async error => {
  const cause = await error.commitError?.catch((/** @type {unknown} */ reason) => reason)
  if (!/no space/i.test(String(cause ?? error))) throw error
})
await environment.close()
