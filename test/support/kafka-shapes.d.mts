export interface ApiDigest {
  readonly key: number
  readonly versions: readonly [number, number]
  readonly flexible: number | null
  readonly request: readonly string[]
  readonly response: readonly string[]
}

export function protocolFolder(): string | undefined
export function digestOf(folder: string): Record<string, ApiDigest>
