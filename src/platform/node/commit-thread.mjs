// The commit thread: writes what it is told to slots, durably or into the page cache, and reports each result. It owns nothing but descriptors.
// Plain JavaScript, so that a Worker loads the same file from the sources and from beside dist/main.js.
import { closeSync, constants, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

/**
 * @typedef {{ kind: 'write' | 'handOver', arena: number, start: number, length: number, path: string, position: number }} WriteCommand
 * @typedef {{ kind: 'sync' | 'release', path: string } | { kind: 'close' }} FileCommand
 * @typedef {{ code: string, message: string }} Failure what went wrong, `code` as Node names it
 */

/**
 * A slot: `through` with O_DSYNC, `cached` without, opened at the first hand-over. A failed write-back is told once to each descriptor that
 * was open before: so `cached` stays open from a hand-over to its sync.
 * @typedef {{ through?: number, cached?: number, isDirty: boolean }} OpenFile
 */

/** @type {Buffer[]} */
const arenas = workerData.arenas.map((/** @type {SharedArrayBuffer} */ memory) => Buffer.from(memory))

/** By path; as many as the caller does not release. @type {Map<string, OpenFile>} */
const files = new Map()

/** @param {string} path */
function fileOf(path) {
  let file = files.get(path)
  if (file === undefined) files.set(path, (file = { isDirty: false }))
  return file
}

/**
 * Goes on after a short write: the kernel may take a part only, and says why at the next call.
 * @param {number} descriptor
 * @param {WriteCommand} command
 */
function writeAll(descriptor, { arena, start, length, position }) {
  let written = 0
  while (written < length) {
    written += writeSync(descriptor, arenas[arena], start + written, length - written, position + written)
  }
}

/** No O_CREAT: slots are prepared before they take groups, a missing one is an error. @param {WriteCommand} command */
function handOver(command) {
  const file = fileOf(command.path)
  file.cached ??= openSync(command.path, constants.O_WRONLY)
  file.isDirty = true
  writeAll(file.cached, command)
}

/** One sync for all: O_DSYNC would sync the written range alone. @param {WriteCommand} command */
function write(command) {
  const file = fileOf(command.path)
  if (file.isDirty || constants.O_DSYNC === undefined) {
    handOver(command)
    sync(command.path)
    return
  }
  file.through ??= openSync(command.path, constants.O_WRONLY | constants.O_DSYNC)
  writeAll(file.through, command)
}

/** @param {string} path */
function sync(path) {
  const file = fileOf(path)
  if (!file.isDirty) return
  fdatasyncSync(file.cached)
  file.isDirty = false
}

/** @param {string} path */
function release(path) {
  const { through, cached } = files.get(path) ?? {}
  files.delete(path)
  if (through !== undefined) closeSync(through)
  if (cached !== undefined) closeSync(cached)
}

const operations = { write, handOver, sync: (/** @type {{ path: string }} */ { path }) => sync(path) }

parentPort.on('message', (/** @type {WriteCommand | FileCommand} */ command) => {
  if (command.kind === 'release') return release(command.path)
  if (command.kind === 'close') {
    for (const path of [...files.keys()]) release(path)
    return parentPort.close()
  }
  try {
    operations[command.kind](command)
    parentPort.postMessage(undefined)
  } catch (error) {
    parentPort.postMessage({ code: error.code ?? 'EIO', message: error.message })
  }
})
