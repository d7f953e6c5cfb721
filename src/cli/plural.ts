/** `1 record`, `2 records`; for words whose plural takes an s. */
export const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`
