/** Asks at the terminal; anything but yes is no. */
export const agrees = async (question: string): Promise<boolean> => {
  process.stderr.write(`${question} [y/N] `)
  for await (const chunk of process.stdin) return /^\s*y(es)?\s*$/i.test(String(chunk))
  return false
}
