import { InvalidArgumentError } from 'commander'
import { earliestOffset, latestOffset } from '../client/partition-offsets.ts'
import { nearestWord } from '../config/nearest-word.ts'

/** Largest number of partitions and partition index that the protocol can carry. */
export const maxPartitions = 2 ** 31 - 1

/** A place in a partition: an offset, or what ListOffsets takes as a timestamp. */
export type StartPoint = { readonly offset: number } | { readonly timestamp: number }

const isoTime = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d\S*)?$/

const wrong = (expected: string, nearest: string): InvalidArgumentError =>
  new InvalidArgumentError(`${expected} is expected; nearest: ${nearest}.`)

/** For an option that takes a whole number, bounds included. */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    const near = Math.round(Number.parseFloat(text)) || least
    throw wrong(`a whole number from ${least} to ${most}`, String(Math.min(most, Math.max(least, near))))
  }

/** For an option that takes one of some words. */
export const oneOfWords =
  <Word extends string>(words: readonly Word[]) =>
  (text: string): Word => {
    const word = words.find(each => each === text)
    if (word !== undefined) return word
    throw wrong(words.length === 1 ? words[0]! : `one of ${words.join(', ')}`, nearestWord(text, words) ?? words[0]!)
  }

/** For an option that takes a place by one of these names, as an offset, or as a time in ISO 8601. */
const place =
  (names: Readonly<Record<string, number>>) =>
  (text: string): StartPoint => {
    const named = Object.hasOwn(names, text) ? names[text] : undefined
    if (named !== undefined) return { timestamp: named }
    if (/^\d+$/.test(text)) return { offset: wholeNumber(0, Number.MAX_SAFE_INTEGER)(text) }
    // Date.parse finds dates in nearly everything
    const time = isoTime.test(text) ? Date.parse(text) : Number.NaN
    // below zero there are only the names
    if (!Number.isNaN(time)) return { timestamp: Math.max(0, time) }
    const words = Object.keys(names)
    const nearest = nearestWord(text, words) ?? words[0]!
    throw wrong(`${words.join(', ')}, an offset or a time such as 2026-05-01T12:00:00Z`, nearest)
  }

/** For `--from` and `--to`: `earliest`, `latest`, an offset, or a time. */
export const startPoint = place({ earliest: earliestOffset, latest: latestOffset })

/** For `--until`: `end`, an offset, or a time. */
export const endPoint = place({ end: latestOffset })

/** For repeated options: `name=value`, collected. `example` is shown when it is not. */
export const assignment =
  (example: string) =>
  (text: string, before: readonly (readonly [string, string])[] = []): readonly (readonly [string, string])[] => {
    const equals = text.indexOf('=')
    if (equals > 0) return [...before, [text.slice(0, equals), text.slice(equals + 1)]]
    throw new InvalidArgumentError(`name=value is expected, such as ${example}.`)
  }

/** For repeated options: all their values. */
export const collected = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]
