// names of groups are what clients say: they must not command the terminal
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controlCharacters = /[\x00-\x1f\x7f-\x9f]/g

/** What is not known, or does not apply, among numbers. */
const noNumbers: readonly unknown[] = ['-', '?']

const isNumeric = (cells: readonly unknown[]): boolean =>
  cells.some(cell => typeof cell === 'number') &&
  cells.every(cell => typeof cell === 'number' || noNumbers.includes(cell))

/** Rows as aligned columns under a heading; numbers to the right. Nothing but the heading when there are no rows. */
export const formatTable = (columns: readonly string[], rows: readonly (readonly (string | number)[])[]): string => {
  const cells = [columns, ...rows.map(row => row.map(cell => String(cell).replaceAll(controlCharacters, '?')))]
  const widths = columns.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  const isNumber = columns.map((_, column) => isNumeric(rows.map(row => row[column])))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd()
  return `${cells.map(line).join('\n')}\n`
}

/** What a list command prints: the table, or with `--json` the objects, one array. */
export const printList = <Row extends object>(
  rows: readonly Row[],
  columns: Readonly<Record<string, (row: Row) => string | number>>,
  json: boolean | undefined,
): void => {
  if (json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
  else
    process.stdout.write(
      formatTable(
        Object.keys(columns),
        rows.map(row => Object.values(columns).map(cell => cell(row))),
      ),
    )
}
