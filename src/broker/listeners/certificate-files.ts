import type { ListenerSettings } from '../../config/listener-settings.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { Clock } from '../../platform/clock.ts'
import type { ReadCredentialFile } from '../../platform/credential-file.ts'
import type { Logger } from '../../platform/logger.ts'
import type { TlsCredentials, TlsIdentity, TlsRules, TryCredentials } from '../../platform/tls-identity.ts'
import {
  CredentialFault,
  type CredentialKey,
  checkCredentials,
  type Validity,
  type ValidTime,
  validityAt,
} from './certificate-check.ts'

export interface CertificateParts {
  readonly read: ReadCredentialFile
  readonly tryCredentials: TryCredentials
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** The listeners with the same name have the same identity. */
export const nameOf = (settings: ListenerSettings): string =>
  JSON.stringify(
    (['tls.cert', 'tls.key', 'tls.ca', 'tls.client.auth', 'tls.min.version'] as const).map(key => settings[key]),
  )

/** The files of one identity: what they held when they last fitted together. */
export class CertificateFiles implements TlsIdentity {
  readonly name: string
  readonly paths: Readonly<Record<CredentialKey, string>>
  readonly rules: TlsRules
  readonly #parts: CertificateParts
  readonly #listeners: ((credentials: TlsCredentials) => void)[] = []
  #credentials: TlsCredentials | undefined
  #valid: ValidTime = { fromMs: 0, toMs: 0 }
  #validity: Validity = 'good'
  /** What the last look found: files are taken when they hold still. */
  #unsettled: string | undefined
  #refused: string | undefined

  constructor(settings: ListenerSettings, parts: CertificateParts) {
    this.name = nameOf(settings)
    this.paths = settings
    this.rules = { clientAuth: settings['tls.client.auth'], minVersion: settings['tls.min.version'] }
    this.#parts = parts
  }

  get credentials(): TlsCredentials {
    return this.#credentials!
  }

  get valid(): ValidTime {
    return this.#valid
  }

  onRenewal(listener: (credentials: TlsCredentials) => void): void {
    this.#listeners.push(listener)
  }

  /** Throws `CredentialFault`. */
  async open(): Promise<void> {
    this.#take(await this.#read())
    this.#reportValidity()
  }

  /** Takes what has changed; unless it is `asked` for, only at the second look that finds the same. */
  async look(asked: boolean): Promise<void> {
    const found = await this.#read().catch(faultOnly)
    const content = found instanceof CredentialFault ? found.message : contentOf(found)
    const isStill = asked || content === this.#unsettled
    this.#unsettled = content
    if (isStill && content !== contentOf(this.credentials)) this.#renew(found, asked)
    this.#reportValidity()
  }

  #renew(found: TlsCredentials | CredentialFault, asked: boolean): void {
    const { logger, metrics } = this.#parts
    const certificate = this.paths['tls.cert']
    try {
      if (found instanceof CredentialFault) throw found
      this.#take(found)
      metrics.add('tlsRenewals', 1, 'taken')
      logger.info({ certificate }, 'a changed certificate is taken for new TLS connections')
    } catch (error) {
      const { key, message } = faultOnly(error)
      const why = `${key} ${message}`
      if (!asked && this.#refused === why) return
      this.#refused = why
      metrics.add('tlsRenewals', 1, 'refused')
      logger.error({ certificate, why }, 'changed certificate files cannot be used: TLS goes on with those before')
    }
  }

  #take(credentials: TlsCredentials): void {
    const valid = checkCredentials(credentials)
    try {
      this.#parts.tryCredentials(credentials, this.rules)
    } catch (error) {
      throw new CredentialFault('tls.cert', `cannot be used for TLS: ${(error as Error).message}`)
    }
    this.#credentials = credentials
    this.#valid = valid
    this.#refused = undefined
    for (const listener of this.#listeners) listener(credentials)
  }

  async #read(): Promise<TlsCredentials> {
    const cert = await this.#readFile('tls.cert')
    const key = await this.#readFile('tls.key')
    const ca = this.paths['tls.ca'] === '' ? undefined : await this.#readFile('tls.ca')
    return { cert, key, ca }
  }

  async #readFile(key: CredentialKey): Promise<Buffer> {
    const path = this.paths[key]
    try {
      const { content, openToAll } = await this.#parts.read(path)
      if (key === 'tls.key' && openToAll && this.#credentials === undefined)
        this.#parts.logger.warn({ path }, 'every user of this machine may read the private key: chmod o-r')
      return content
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === undefined) throw error
      throw new CredentialFault(key, code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`)
    }
  }

  /** Once for each change. A gateway without a clock takes a good certificate for a future one, so that this is no reason to stop. */
  #reportValidity(): void {
    const validity = validityAt(this.#parts.clock.wallMs(), this.#valid)
    if (validity === this.#validity) return
    this.#validity = validity
    if (validity === 'good') return
    const { fromMs, toMs } = this.#valid
    const from = new Date(fromMs).toISOString()
    const to = new Date(toMs).toISOString()
    this.#parts.logger.warn({ certificate: this.paths['tls.cert'], from, to }, validityWarnings[validity])
  }
}

const validityWarnings: Readonly<Record<Exclude<Validity, 'good'>, string>> = {
  'expires soon': 'the certificate expires soon',
  'has expired': 'the certificate has expired, or the clock of this gateway is wrong',
  'is not valid yet': 'the certificate is not valid yet, or the clock of this gateway is wrong',
}

const contentOf = ({ cert, key, ca }: TlsCredentials): string => [cert, key, ca ?? ''].join('\n')

const faultOnly = (error: unknown): CredentialFault => {
  if (error instanceof CredentialFault) return error
  throw error
}
