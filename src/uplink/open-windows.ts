import { type MeteredWindow, weekDays } from '../config/metered-windows.ts'

/** Those of the windows that a clock on the wall stands in, by the time zone of the machine. */
export const openWindows = (windows: readonly MeteredWindow[], wallMs: number): readonly MeteredWindow[] => {
  if (windows.length === 0) return windows
  const local = new Date(wallMs)
  const minute = local.getHours() * 60 + local.getMinutes()
  // Sunday is 0 there
  const day = (local.getDay() + 6) % 7
  return windows.filter(window => isOpen(window, day, minute))
}

const isOpen = ({ fromMinute, toMinute, days }: MeteredWindow, day: number, minute: number): boolean => {
  const beginsOn = (one: number): boolean => days.includes(weekDays[one % 7]!)
  if (fromMinute < toMinute) return beginsOn(day) && minute >= fromMinute && minute < toMinute
  return (beginsOn(day) && minute >= fromMinute) || (beginsOn(day + 6) && minute < toMinute)
}
