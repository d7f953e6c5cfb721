import { bytes, formatBytes } from './quantities.ts'
import { quoted, type ValueType, wrong } from './value-types.ts'

/** A number of bytes, or a part of something whose size is known only on the machine (disk, RAM). */
export type Share =
  | { readonly bytes: number }
  | { readonly percent: number /** Only defaults have it. */; readonly atMostBytes?: number }

/** Bytes or percent; `minBytes` applies to bytes here and to percents in `shareOf`. */
export function share(minBytes: number): ValueType<Share> {
  const exact = bytes({ min: minBytes })
  const format = (value: Share): string => {
    if ('bytes' in value) return formatBytes(value.bytes)
    return value.atMostBytes === undefined
      ? `${value.percent}%`
      : `${value.percent}%, at most ${formatBytes(value.atMostBytes)}`
  }
  return {
    configType: 'STRING',
    shape: `bytes, such as \`8GiB\`, or percent, such as \`40%\`; at least ${formatBytes(minBytes)}`,
    parse(text) {
      const percent = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(text)?.[1]
      if (percent === undefined) {
        const parsed = exact.parse(text)
        if ('value' in parsed) return { value: { bytes: parsed.value } }
        return { problems: parsed.problems.map(problem => ({ nearest: '40%', ...problem })) }
      }
      const value = Number(percent)
      if (value <= 0) return wrong(`${quoted(text)} is nothing`, '1%')
      return value > 95
        ? wrong(`${quoted(text)} leaves no room for anything else`, '95%')
        : { value: { percent: value } }
    },
    format,
    formatPlain: format,
  }
}

/** The share in bytes, rounded down to whole blocks of 4 KiB, given the size of the whole. */
export function shareOf(value: Share, wholeBytes: number): number {
  if ('bytes' in value) return value.bytes
  const part = Math.floor((wholeBytes * value.percent) / 100 / 4096) * 4096
  return Math.min(part, value.atMostBytes ?? part)
}
