// A small model of Kafka's layout: one file per partition, a record batch appended to each that has records. `synced`: every batch is synced
// before it counts as acknowledged, as Brooklet does; else the kernel writes when it likes (Kafka's default; nothing is promised then).
import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** Kafka's batch header, and what a record takes besides its payload: key, lengths, deltas (about 40 B here, as in Brooklet). */
const batchBytes = 61
const recordBytes = 64

/** Stores `rate` events a second for `seconds`; resolves with `{ events, logBytes, commits }`. */
export const runPartitionFiles = async (directory, { rate, seconds, partitions, payloadBytes, lingerMs, synced }) => {
  const names = Array.from({ length: partitions }, (_, index) => join(directory, `partition-${index}.log`))
  const files = await Promise.all(names.map(name => open(name, 'a')))
  const startedMs = performance.now()
  let events = 0
  let commits = 0
  let logBytes = 0
  const total = Math.floor(rate * seconds)
  while (events < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * rate))
    const counts = new Map()
    for (; events < due; events++) {
      const at = (events * 7919) % partitions
      counts.set(at, (counts.get(at) ?? 0) + 1)
    }
    await Promise.all(
      [...counts].map(async ([at, count]) => {
        const batch = Buffer.alloc(batchBytes + count * (recordBytes + payloadBytes), 1)
        logBytes += batch.length
        await files[at].write(batch)
        if (synced) await files[at].datasync()
      }),
    )
    if (counts.size > 0) commits++
    await new Promise(done => setTimeout(done, lingerMs))
  }
  for (const file of files) await file.close()
  return { events, logBytes, commits }
}
