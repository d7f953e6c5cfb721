/** `1 record`, `2 records`, `2 batches`. */
export const plural = (count: number, word: string): string => {
  if (count === 1) return `1 ${word}`
  return `${count} ${word}${/(ch|sh|s|x)$/.test(word) ? 'es' : 's'}`
}
