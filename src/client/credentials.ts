import type { Clock } from '../platform/clock.ts'
import type { ReadCredentialFile } from '../platform/credential-file.ts'
import type { PostForm } from '../platform/http-post.ts'
import type { Random } from '../platform/random.ts'
import type { TlsTrust } from '../platform/tls-trust.ts'
import { CredentialsMissing } from './kafka-error.ts'
import { oauthBearerExchange, parseObject } from './oauth-bearer.ts'
import { plainExchange, type SaslExchange } from './sasl.ts'
import { scramExchange } from './scram.ts'
import type { ClientSecurity, TlsFiles, TokenSource } from './security.ts'

const nonceBytes = 24
const tokenTimeoutMs = 15_000
/** A token from an endpoint is used for this share of its life. */
const usedShare = 0.8

export interface CredentialParts {
  readonly read: ReadCredentialFile
  readonly postForm: PostForm
  readonly random: Random
  readonly clock: Clock
}

/** What connections to a cluster show and trust. Files are read anew for each connection. */
export class Credentials {
  readonly #security: ClientSecurity
  readonly #parts: CredentialParts
  #token: { readonly text: string; readonly untilMs: number } | undefined

  constructor(security: ClientSecurity, parts: CredentialParts) {
    this.#security = security
    this.#parts = parts
  }

  /** Undefined: without TLS. Rejects with `CredentialsMissing`. */
  async trust(): Promise<TlsTrust | undefined> {
    const { tls } = this.#security
    return tls === undefined ? undefined : this.#readTrust(tls)
  }

  /** A new exchange; undefined: without login. Rejects with `CredentialsMissing`. */
  async exchange(): Promise<SaslExchange | undefined> {
    const { login } = this.#security
    if (login === undefined) return undefined
    if (login.mechanism === 'OAUTHBEARER')
      return oauthBearerExchange(await this.#findToken(login.token), () => this.#parts.clock.wallMs())
    if (login.mechanism === 'PLAIN') return plainExchange(login.username, login.password)
    const nonce = this.#parts.random.bytes(nonceBytes).toString('base64')
    return scramExchange({ ...login, mechanism: login.mechanism, nonce })
  }

  /** The broker did not accept what was shown: a token, whatever is left of its life, is asked for anew. */
  refused(): void {
    this.#token = undefined
  }

  async #readTrust({ ca, own, checkHostName }: TlsFiles): Promise<TlsTrust> {
    return {
      ca: ca === undefined ? undefined : await this.#readPem(ca, 'CERTIFICATE-----'),
      own: own && {
        cert: await this.#readPem(own.cert, 'CERTIFICATE-----'),
        key: await this.#readPem(own.key, 'PRIVATE KEY-----'),
        passphrase: own.passphrase,
      },
      checkHostName,
    }
  }

  async #readPem(path: string, wanted: string): Promise<Buffer> {
    const content = await this.#read(path)
    if (content.includes(wanted)) return content
    const what = wanted.startsWith('CERT') ? 'certificate' : 'private key'
    throw new CredentialsMissing(`${path} holds no ${what} in PEM form`)
  }

  async #read(path: string): Promise<Buffer> {
    try {
      return (await this.#parts.read(path)).content
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === undefined) throw error
      throw new CredentialsMissing(
        code === 'ENOENT' ? `there is no file ${path}` : `the file ${path} cannot be read (${code})`,
      )
    }
  }

  async #findToken(source: TokenSource): Promise<string> {
    if (source.kind === 'endpoint') return this.#requestToken(source)
    const token = (await this.#read(source.path)).toString().trim()
    if (/^[\x21-\x7e]+$/.test(token)) return token
    throw new CredentialsMissing(`${source.path} holds no token`)
  }

  /** RFC 6749, section 4.4. */
  async #requestToken({ url, clientId, clientSecret, scope }: TokenSource & { kind: 'endpoint' }): Promise<string> {
    const { clock, postForm } = this.#parts
    if (this.#token !== undefined && clock.monotonicMs() < this.#token.untilMs) return this.#token.text
    const fail = (why: string) => new CredentialsMissing(`no token from ${url}: ${why}`)
    const { tls } = this.#security
    const trust = await this.#readTrust({ ca: tls?.ca, own: undefined, checkHostName: tls?.checkHostName ?? true })
    const fields = { grant_type: 'client_credentials', ...(scope === '' ? {} : { scope }) }
    // user and password are encoded as form fields are (section 2.3.1)
    const [user, password] = [clientId, clientSecret].map(encodeURIComponent) as [string, string]
    const { status, body } = await postForm({ url, fields, user, password, trust, timeoutMs: tokenTimeoutMs }).catch(
      (error: Error) => {
        throw fail(error.message)
      },
    )
    const { access_token: token, expires_in: seconds, error, error_description: more } = parseObject(body)
    if (status !== 200) throw fail(`${[status, error, more].filter(word => word !== undefined).join(' ')}`)
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw fail('the answer has no access_token')
    const usableMs = typeof seconds === 'number' ? seconds * 1000 * usedShare : 0
    this.#token = { text: token, untilMs: clock.monotonicMs() + usableMs }
    return token
  }
}
