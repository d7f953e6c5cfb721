import { expect, it } from 'vitest'
import { LineSplitter } from '../../../src/cli/lines.ts'

const text = Buffer.from('a\r\nb\n\nümlaut \xff\n', 'latin1')

it.each([1, 2, 3, 7, 100])('gives the same lines byte for byte, whatever the chunks: %i', chunkBytes => {
  const splitter = new LineSplitter()
  const lines: Buffer[] = []
  const bytes = Buffer.concat([text, Buffer.from('no end')])
  for (let at = 0; at < bytes.length; at += chunkBytes)
    lines.push(...splitter.push(bytes.subarray(at, at + chunkBytes)))
  lines.push(...splitter.finish())
  expect(lines.map(line => line.toString('latin1'))).toEqual(['a', 'b', '', 'ümlaut \xff', 'no end'])
})

it('has no line after the last line end', () => {
  const splitter = new LineSplitter()
  expect(splitter.push(Buffer.from('a\n')).map(String)).toEqual(['a'])
  expect(splitter.finish()).toEqual([])
})

it('refuses a line without end', () => {
  const splitter = new LineSplitter()
  const chunk = Buffer.alloc(16 << 20, 'x')
  splitter.push(chunk)
  splitter.push(chunk)
  expect(() => splitter.push(chunk)).toThrow(/longer than 32 MiB/)
})
