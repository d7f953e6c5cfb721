import { execFileSync } from 'node:child_process'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterEach, expect } from 'vitest'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { requireFileSystem, SmallFileSystem } from '../support/small-file-system.ts'

/** The device under the file system fails writes with EIO: ext4 on an image in a tmpfs that has no room for all of it. */

const test = requireFileSystem('ext4')
const topic = 'readings'

const run = (program: string, ...args: string[]): void => {
  const environment = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` }
  execFileSync(program, args, { stdio: 'pipe', env: environment })
}

let under: SmallFileSystem | undefined
let mounted: string | undefined
let gateway: Gateway | undefined
let device: MqttClient | undefined

afterEach(async () => {
  device?.end(true)
  await gateway?.dispose()
  if (mounted !== undefined) run('umount', '-l', mounted)
  under?.unmount()
  ;[under, mounted, gateway, device] = [undefined, undefined, undefined, undefined]
})

const mountImage = (): string => {
  const image = `${under!.path}/image`
  const path = `${under!.path}/mounted`
  run('mkdir', '-p', path)
  run('mount', '-o', 'loop', image, path)
  mounted = path
  return path
}

/** Numbers of all records that can be read, without a group, which would have to write. */
const readingsRead = async (): Promise<number[]> => {
  const args = ['consume', topic, '--until', 'end', '--json', '--bootstrap', gateway!.addresses.kafka]
  const { stdout } = await runBrooklet(args)
  const numbers = [...stdout.matchAll(/reading (\d+) r/g)].map(([, number]) => Number(number))
  return numbers.sort((one, other) => one - other)
}

test('a device that fails writes: nothing is acknowledged that is not on it, reads go on, and a restart on a mended one has all', async () => {
  under = SmallFileSystem.mount('tmpfs', 64)
  run('truncate', '-s', '160M', `${under.path}/image`)
  run('mkfs.ext4', '-q', '-m', '0', '-E', 'lazy_itable_init=1,lazy_journal_init=1', `${under.path}/image`)
  const dataDirectory = `${mountImage()}/data`
  gateway = await Gateway.start({ dataDirectory, settings: { 'disk.budget': '120MiB' } })
  device = await connectAsync(gateway.mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 })
  const stored: number[] = []
  // without an acknowledgement the gateway closes the connection
  const closed = new Promise<Error>(resolve => device!.once('close', () => resolve(new Error('closed'))))
  for (let number = 0; number < 4000; number++) {
    const reading = `reading ${number} `.padEnd(32 * 1024, 'r')
    const published = device.publishAsync(`${topic}/x`, reading, { qos: 1 }).then(
      () => undefined,
      (error: Error) => error,
    )
    const refused = await Promise.race([published, closed])
    if (refused !== undefined) break
    stored.push(number)
  }
  expect(stored.length).toBeGreaterThan(100)
  expect(stored.length).toBeLessThan(4000)
  const ready = await fetch(`${gateway.httpUrl}/readyz`)
  expect(ready.status).toBe(503)
  expect((await readingsRead()).slice(0, stored.length)).toEqual(stored)

  await gateway.kill()
  run('umount', '-l', mounted!)
  mounted = undefined
  run('mount', '-o', 'remount,size=256m', under.path)
  try {
    run('fsck.ext4', '-p', '-f', `${under.path}/image`)
  } catch (error) {
    // 1: errors were corrected
    if ((error as { status?: number }).status !== 1) throw error
  }
  mountImage()
  await gateway.restart()
  expect((await readingsRead()).slice(0, stored.length)).toEqual(stored)
  device = await connectAsync(gateway.mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 })
  await device.publishAsync(`${topic}/x`, Buffer.alloc(100, 'n'), { qos: 1 })
})
