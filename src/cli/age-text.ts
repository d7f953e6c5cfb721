/** Seconds as the two largest units: `3d 4h`. */
export const ageText = (seconds: number): string => {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const
  const first = units.findIndex(([, unit]) => seconds >= unit)
  if (first < 0) return '0s'
  let left = Math.floor(seconds)
  return units
    .slice(first, first + 2)
    .map(([name, unit]) => {
      const count = Math.floor(left / unit)
      left -= count * unit
      return count === 0 ? '' : `${count}${name}`
    })
    .join(' ')
    .trim()
}
