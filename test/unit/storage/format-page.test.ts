import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { internalPartitions } from '../../../src/state/internal-partitions.ts'
import { controlRecordTypes } from '../../../src/storage/control-record.ts'
import { trailerBytes } from '../../../src/storage/footer.ts'
import { frameHeaderBytes } from '../../../src/storage/frame.ts'
import { gapReasons } from '../../../src/storage/gaps.ts'
import { groupFlags, groupHeaderBytes } from '../../../src/storage/group.ts'
import { blockBytes, footerCost, formatVersion, groupAlignBytes } from '../../../src/storage/layout.ts'
import { slotHeaderBytes } from '../../../src/storage/slot.ts'

const page = readFileSync(fileURLToPath(new URL('../../../docs/FORMAT.md', import.meta.url)), 'utf8')

/** Text of the section, up to the next heading. */
const section = (title: string): string => page.split(`## ${title}\n`)[1]?.split('\n## ')[0] ?? ''

interface Field {
  readonly at: number
  /** Undefined where the field repeats or has no fixed length. */
  readonly bytes: number | undefined
}

const widths: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, i64: 8 }

/** Tables of fields with their positions, in the order of the page. */
const tables = (text: string): Field[][] =>
  text
    .split('| at | type | field |\n|---|---|---|\n')
    .slice(1)
    .map(part =>
      part
        .split('\n\n')[0]!
        .split('\n')
        .map(line => line.split('|').map(cell => cell.trim()))
        .filter(([, at]) => at !== undefined && /^\d+$/.test(at))
        .map(([, at, type = '']) => ({
          at: Number(at),
          bytes:
            widths[type] ??
            (/^(\d+) bytes$/.exec(type)?.[1] === undefined ? undefined : Number(/^(\d+)/.exec(type)![1])),
        })),
    )

/** Where the fields of fixed length end. */
const endOf = (fields: readonly Field[]): number => {
  const last = fields.findLast(({ bytes }) => bytes !== undefined)!
  return last.at + last.bytes!
}

describe('docs/FORMAT.md', () => {
  it('leaves no byte out between the fields of a table', () => {
    const all = tables(page)
    expect(all.length).toBeGreaterThanOrEqual(9)
    for (const fields of all) {
      for (const [index, { at, bytes }] of fields.entries()) {
        const next = fields[index + 1]
        if (bytes !== undefined && next !== undefined) expect([at, next.at]).toEqual([at, at + bytes])
      }
    }
  })

  it('gives headers the sizes that the code gives them', () => {
    expect(page).toContain(`Format version ${formatVersion}.`)
    expect(endOf(tables(section('Slot'))[0]!)).toBe(slotHeaderBytes)
    expect(endOf(tables(section('Group'))[0]!)).toBe(groupHeaderBytes)
    expect(endOf(tables(section('Frame'))[0]!)).toBe(frameHeaderBytes)
    expect(endOf(tables(section('meta'))[0]!)).toBe(blockBytes)
    const [counts, span, trailer] = tables(section('Footer'))
    expect(endOf(counts!) + trailerBytes).toBe(footerCost.fixed)
    expect(endOf(span!)).toBe(footerCost.span)
    expect(endOf(trailer!)).toBe(trailerBytes)
    expect(section('Footer')).toContain(`| ${footerCost.salt} each | starts within`)
    expect(section('Footer')).toContain(`| ${footerCost.epoch} each | leader epochs`)
    expect(section('Footer')).toContain(`| ${footerCost.block} each | blocks`)
    expect(section('Group')).toContain(`multiple of ${groupAlignBytes}.`)
    expect(section('Group')).toContain(
      `flags: ${groupFlags.start} first group of a start, ${groupFlags.witness} witness`,
    )
  })

  it('names every magic of the code', () => {
    const folder = fileURLToPath(new URL('../../../src/storage/', import.meta.url))
    for (const [file, magic] of [
      ['meta', 'BKMT'],
      ['slot', 'BKLS'],
      ['group', 'BKGR'],
      ['frame', 'BKFR'],
      ['footer', 'BKFT'],
    ] as const) {
      expect(readFileSync(`${folder}${file}.ts`, 'utf8')).toContain(`0x${Buffer.from(magic).toString('hex')}`)
      expect(page).toContain(`magic \`${magic}\``)
    }
  })

  it('names every record of partition 0, every reason of a gap, and every internal partition', () => {
    const records = section('Records of partition 0')
    const named = [...records.matchAll(/^\| (\d+) ([a-z ]+) \|/gm)].map(([, type, name = '']) => [
      name.replace(/ (.)/g, (_, letter: string) => letter.toUpperCase()),
      Number(type),
    ])
    expect(Object.fromEntries(named)).toEqual(controlRecordTypes)
    expect(records).toContain(`u8 reason (${gapReasons.map((reason, index) => `${index} ${reason}`).join(', ')})`)
    const state = section('Records of the state partitions')
    for (const id of Object.values(internalPartitions)) expect(state).toMatch(new RegExp(`^\\| ${id} `, 'm'))
  })
})
