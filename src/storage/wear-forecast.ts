import type { WearFigures } from './wear-window.ts'

const daySeconds = 86_400
const yearDays = 365.25
/** From less than this no rate is told. */
const leastSeconds = 60
/** The day's figures are believed once they cover an hour. */
const leastDaySeconds = 3600
/** Bytes that a card is assumed to write inside for each byte that it is given: blocks of 4 KiB on pages and erase blocks that are larger. */
export const cardAmplification = 4

/** Bytes a day at the rate of the figures; null where the device is not counted and while they cover less than a minute. */
export const bytesPerDay = ({ seconds, deviceBytes }: WearFigures): number | null =>
  deviceBytes === undefined || seconds < leastSeconds ? null : Math.round((deviceBytes / seconds) * daySeconds)

/** Device bytes for each record stored; null where the device is not counted and when nothing was stored. */
export const bytesPerEvent = ({ deviceBytes, records }: WearFigures): number | null =>
  deviceBytes === undefined || records === 0 ? null : Math.round(deviceBytes / records)

/** Years until the card has been written `cycles` times in full, `cardAmplification` counted; null while there is no rate. */
export const cardYears = (
  { hour, day }: { readonly hour: WearFigures; readonly day: WearFigures },
  card: { readonly bytes: number; readonly cycles: number },
): number | null => {
  const perDay = bytesPerDay(day.seconds >= leastDaySeconds ? day : hour)
  if (perDay === null || perDay === 0) return null
  return (card.bytes * card.cycles) / cardAmplification / perDay / yearDays
}
