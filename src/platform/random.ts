/** The only source of randomness. */
export interface Random {
  bytes(length: number): Buffer
  /** In [0, 1). */
  fraction(): number
}
