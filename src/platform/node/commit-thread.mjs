// The commit thread: writes what it is told to files opened with O_DSYNC and reports each result. It owns nothing but descriptors.
// Plain JavaScript, so that a Worker loads the same file from the sources and from beside dist/main.js.
import { closeSync, constants, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

/**
 * @typedef {{ kind: 'write', arena: number, start: number, length: number, path: string, position: number }} WriteCommand
 * @typedef {{ kind: 'release', path: string } | { kind: 'close' }} FileCommand
 * @typedef {{ code: string, message: string }} Failure what went wrong, `code` as Node names it
 */

/** @type {Buffer[]} */
const arenas = workerData.arenas.map((/** @type {SharedArrayBuffer} */ memory) => Buffer.from(memory))

/** Descriptors by path; as many as the caller does not release. @type {Map<string, number>} */
const descriptors = new Map()

// no O_CREAT: slots are prepared before they take groups, a missing one is an error
const flags = constants.O_WRONLY | (constants.O_DSYNC ?? 0)
const writeIsDurable = constants.O_DSYNC !== undefined

/** @param {string} path */
function descriptorOf(path) {
  let descriptor = descriptors.get(path)
  if (descriptor === undefined) {
    descriptor = openSync(path, flags)
    descriptors.set(path, descriptor)
  }
  return descriptor
}

/** Goes on after a short write: the kernel may take a part only, and says why at the next call. @param {WriteCommand} command */
function write({ arena, start, length, path, position }) {
  const descriptor = descriptorOf(path)
  let written = 0
  while (written < length) {
    written += writeSync(descriptor, arenas[arena], start + written, length - written, position + written)
  }
  if (!writeIsDurable) fdatasyncSync(descriptor)
}

/** @param {string} path */
function release(path) {
  const descriptor = descriptors.get(path)
  if (descriptor === undefined) return
  descriptors.delete(path)
  closeSync(descriptor)
}

parentPort.on('message', (/** @type {WriteCommand | FileCommand} */ command) => {
  if (command.kind === 'release') return release(command.path)
  if (command.kind === 'close') {
    for (const path of [...descriptors.keys()]) release(path)
    return parentPort.close()
  }
  try {
    write(command)
    parentPort.postMessage(undefined)
  } catch (error) {
    parentPort.postMessage({ code: error.code ?? 'EIO', message: error.message })
  }
})
