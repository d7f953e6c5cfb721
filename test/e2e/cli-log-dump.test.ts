import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runBrooklet } from '../support/gateway.ts'
import { unpackGolden } from '../support/golden/unpack-golden.ts'

/** `brooklet log dump` and `inspect` on golden directories, in which everything stands that a log may hold. */

interface Shown {
  readonly kind: string
  readonly slot: number
  readonly [other: string]: unknown
}

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-dump-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const dump = async (...args: string[]): Promise<Shown[]> => {
  const { code, stdout, stderr } = await runBrooklet(['log', 'dump', directory, '--json', ...args])
  expect([code, stderr]).toEqual([0, ''])
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Shown)
}

it('shows cold segments behind the hot ones, and each slot alone', async () => {
  await unpackGolden('cold', directory)
  const all = await dump()
  const segments = all.filter(({ kind }) => kind === 'segment')
  expect(segments.map(({ segment }) => segment)).toEqual(expect.arrayContaining(['hot', 'cold']))
  const cold = segments.find(({ segment }) => segment === 'cold')!
  const text = await runBrooklet(['log', 'dump', directory, '--slot', String(cold.slot)])
  expect(text.stdout).toMatch(new RegExp(`^cold segment ${cold['sequence']} in slot ${cold.slot}\n  \\S+ \\d+`))
  const only = await dump('--slot', String(cold.slot))
  expect(only.slice(1).every(({ slot, kind }) => slot === cold.slot && kind === 'batch')).toBe(true)
  expect(only.length).toBeGreaterThan(1)
  expect(all).toEqual(expect.arrayContaining(only))
  const { stdout } = await runBrooklet(['log', 'inspect', directory])
  expect(stdout).toMatch(new RegExp(`^ *${cold.slot} +cold +${cold['sequence']} +- +- +- `, 'm'))
})

it('shows footers with what they say of each partition', async () => {
  await unpackGolden('cold', directory)
  const shown = await dump('--footers')
  const footers = shown.filter(({ kind }) => kind === 'footer')
  expect(footers.length).toBeGreaterThan(1)
  for (const { slot, state } of footers) {
    expect(state).toBe('intact')
    const batches = shown.filter(each => each.kind === 'batch' && each.slot === slot)
    const partitions = new Set(
      shown.filter(each => each.kind === 'span' && each.slot === slot).map(each => each['partition']),
    )
    expect(partitions).toEqual(new Set(batches.map(each => each['partition'])))
  }
})

it('shows the offsets that are asked for, of one partition', async () => {
  await unpackGolden('damaged', directory)
  const batches = (await dump()).filter(({ kind }) => kind === 'batch')
  const { partition } = batches.at(-1)! as unknown as { partition: number }
  const offsets = await dump('--partition', String(partition), '--from', '3', '--to', '4', '--records')
  expect(offsets.filter(({ kind }) => kind === 'record').map(({ offset }) => offset)).toEqual([3, 4])
  const whole = (await dump()).filter(({ kind }) => kind === 'damage')
  expect(whole).toMatchObject([{ cause: 'batch', partition: 33, first: 5, last: 5 }])
  const wrong = await runBrooklet(['log', 'dump', directory, '--to', '4'])
  expect([wrong.code, wrong.stderr.split('\n').length]).toEqual([64, 2])
})
