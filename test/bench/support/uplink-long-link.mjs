// How much of a link by satellite the uplink fills with a backlog: a round trip of 600 ms, 512 kbit/s, nothing lost. A link is not filled before it is known: the
// first seconds do not count.
import { sleep, startWithBacklog } from './backlog-gateway.mjs'

const [latencyMs, bytesPerSecond] = [300, 64_000]
const [rampSeconds, seconds, records] = [20, 60, 400_000]

export const longLink = async (_central, { settings, link }) => {
  const before = link.link
  const gateway = await startWithBacklog(link.address, records, { settings })
  try {
    link.link = { ...before, latencyMs, bytesPerSecond }
    await gateway.post('resume')
    await sleep(rampSeconds * 1000)
    const [startedMs, passed] = [performance.now(), link.passedBytes.up]
    await sleep(seconds * 1000)
    const tookSeconds = (performance.now() - startedMs) / 1000
    const share = (link.passedBytes.up - passed) / (tookSeconds * bytesPerSecond)
    const { partitions } = await gateway.status()
    if (partitions.every(({ lagRecords }) => lagRecords === 0)) throw new Error('the backlog was too small')
    return {
      rows: [{ 'round trip ms': 2 * latencyMs, 'kbit/s': (bytesPerSecond * 8) / 1000, 'share of the link': share }],
      checks: [{ name: 'share of a link with a round trip of 600 ms', value: share, atLeast: 0.8 }],
    }
  } finally {
    link.link = before
    await gateway.end()
  }
}
