import type { TlsTrust } from './tls-trust.ts'

export interface FormPost {
  readonly url: string
  readonly fields: Readonly<Record<string, string>>
  /** Basic authentication (RFC 7617). */
  readonly user: string
  readonly password: string
  readonly trust: TlsTrust
  readonly timeoutMs: number
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

/** Posts a form over HTTP or HTTPS. Rejects with the cause in words when there is no answer, or one of more than 1 MiB. */
export type PostForm = (post: FormPost) => Promise<HttpAnswer>
