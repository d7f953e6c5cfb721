import { StartError } from '../core/errors.ts'
import { systemErrorText } from '../core/system-error.ts'

const requestTimeoutMs = 10_000

export interface RequestLimits {
  /** For what takes the gateway a while. */
  readonly timeoutMs?: number
}

/** A running gateway's HTTP API, for commands. */
export class HttpClient {
  readonly #base: string

  /** `address`: host:port or a whole http:// URL. */
  constructor(address: string) {
    const url = address.includes('://') ? address : `http://${address}`
    if (!URL.canParse(url)) throw new StartError(64, `--http: "${address}" is not host:port; nearest: 127.0.0.1:8190`)
    this.#base = url.replace(/\/+$/, '')
  }

  /** The JSON at `path`. Throws with one line when nobody answers or the answer is an error. */
  get<Value>(path: string): Promise<Value> {
    return this.#ask(path, {})
  }

  /** Has the gateway do what stands at `path`; throws as `get` does. */
  post<Value>(path: string, limits: RequestLimits = {}): Promise<Value> {
    return this.#ask(path, { method: 'POST', headers: { 'content-type': 'application/json' } }, limits)
  }

  async #ask<Value>(path: string, options: RequestInit, { timeoutMs }: RequestLimits = {}): Promise<Value> {
    const response = await this.#request(path, {
      ...options,
      signal: AbortSignal.timeout(timeoutMs ?? requestTimeoutMs),
    })
    const body = await response.text().catch(error => this.#lost(error))
    if (!response.ok) throw new HttpFailure(errorText(body) ?? `${this.#base}${path}: status ${response.status}`)
    try {
      return JSON.parse(body) as Value
    } catch {
      throw new HttpFailure(`what answers at ${this.#base} is no gateway; name its HTTP listener with --http`)
    }
  }

  async #request(path: string, options: RequestInit): Promise<Response> {
    try {
      return await fetch(`${this.#base}${path}`, options)
    } catch (error) {
      return this.#lost(error)
    }
  }

  #lost(error: unknown): never {
    const { cause } = error as { readonly cause?: unknown }
    const reason = systemErrorText(cause instanceof Error ? cause : (error as Error))
    throw new HttpFailure(`no gateway answers at ${this.#base}: ${reason}; name its HTTP listener with --http`)
  }
}

/** One line for the user; exit code 1. */
export class HttpFailure extends Error {
  override name = 'HttpFailure'
}

const errorText = (body: string): string | undefined => {
  try {
    return (JSON.parse(body) as { error?: string }).error
  } catch {
    return undefined
  }
}
