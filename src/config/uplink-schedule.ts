import { type MeteredWindow, meteredWindows, type RetentionClass } from './metered-windows.ts'
import { bytes } from './quantities.ts'
import { row } from './setting-row.ts'
import { type UplinkRule, uplinkRules } from './uplink-rules.ts'

const noRules: readonly UplinkRule[] = []
const noWindows: readonly MeteredWindow[] = []
const forever = Number.POSITIVE_INFINITY
const rate = bytes({ min: 100, unlimited: '-1' })
const classRate = (name: RetentionClass) =>
  row(rate, forever, `Bytes a second that topics with retention.class=${name} may send up`, { live: true })

/** Rows of the settings table: what goes up first, how much of it, and when. */
export const uplinkScheduleSettings = {
  'uplink.rules': row(uplinkRules, noRules, 'What goes up first; the first rule that matches a topic holds for it', {
    docs:
      'Each has `topics` (names; `*` stands for any characters), and where wanted: `priority`, `high`, `normal` or `low`: of a lower one goes only what a ' +
      'higher one leaves room for; topics of one priority take turns. `order`: with `newest-first` a backlog does not hold up what comes now, and fills up beside it; the order upstream is then another. `ttl`, such as `6h`: what is older by the life of the log is not sent, and is listed by ' +
      '`brooklet audit --gaps` as `expired`. `thin`: of what lies more than `thin.lag` records (10,000) behind the end one of so many per key goes, the rest is listed as `thinned`.',
  }),
  'uplink.rate.max': row(rate, forever, 'Bytes a second that go up at most, over some seconds', {
    docs:
      'All that the uplink sends counts: records as they are compressed, positions and requests; not what TLS, TCP and IP add, some 5 %. A batch goes ' +
      'whole: after a large one the uplink waits longer.',
    live: true,
  }),
  'uplink.rate.max.bulk': classRate('bulk'),
  'uplink.rate.max.normal': classRate('normal'),
  'uplink.rate.max.critical': classRate('critical'),
  'uplink.metered': row(meteredWindows, noWindows, 'Times of the day in which less goes up', {
    docs:
      'Each window has `from` and `to` (`HH:MM`, local time; past midnight when `to` comes first), and where wanted `days` (`mon-fri`, `sat,sun`: the days ' +
      'on which it begins), `rate` (bytes a second; 0: nothing goes up) and `classes` (those of `retention.class` that may go up in it). While the clock is not ' +
      'known to be right (`clock.quality`), all windows hold at all times.',
  }),
} as const
