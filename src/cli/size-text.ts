const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Bytes for people: `812 B`, `1.5 KiB`, `256 MiB`. */
export const sizeText = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = Number.isInteger(value) ? String(value) : value.toFixed(1)
  return `${digits} ${units[unit]}`
}
