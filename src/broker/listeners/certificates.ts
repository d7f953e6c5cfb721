import type { ListenerSettings } from '../../config/listener-settings.ts'
import { type SettingProblem, settingsError } from '../../config/setting-problem.ts'
import type { Timer } from '../../platform/clock.ts'
import type { TlsIdentity } from '../../platform/tls-identity.ts'
import { CredentialFault } from './certificate-check.ts'
import { CertificateFiles, type CertificateParts, nameOf } from './certificate-files.ts'

const checkEveryMs = 5000

/**
 * The certificates of the TLS listeners, by their files. Files that change are read again, and hold for new connections once they fit together;
 * until then, and where they never do, what was read before stays.
 */
export class Certificates {
  readonly #parts: CertificateParts
  readonly #files = new Map<string, CertificateFiles>()
  #check: Timer | undefined

  /** Reads the files of all listeners. Throws one `StartError` (exit code 64) that names every problem. */
  static async open(listeners: readonly ListenerSettings[], parts: CertificateParts): Promise<Certificates> {
    const certificates = new Certificates(parts)
    const problems: SettingProblem[] = []
    for (const settings of listeners) {
      const files = new CertificateFiles(settings, parts)
      if (certificates.#files.has(files.name)) continue
      certificates.#files.set(files.name, files)
      try {
        await files.open()
      } catch (error) {
        if (!(error instanceof CredentialFault)) throw error
        problems.push({ key: error.key, place: files.paths[error.key], reason: error.message })
      }
    }
    if (problems.length > 0) throw settingsError(problems)
    parts.metrics.gauge('tlsCertificateExpiry', () => certificates.#expiries())
    return certificates
  }

  private constructor(parts: CertificateParts) {
    this.#parts = parts
  }

  /** The identity of a listener with these settings; they are of those that were opened. */
  identityFor(settings: ListenerSettings): TlsIdentity {
    return this.#files.get(nameOf(settings))!
  }

  /** Looks at the files again and again. */
  watch(): void {
    this.#check = this.#parts.clock.after(checkEveryMs, () => {
      void this.#lookAll(false).then(() => {
        if (this.#check !== undefined) this.watch()
      })
    })
  }

  /** Looks at once; somebody says that they have changed. */
  reload(): Promise<void> {
    return this.#lookAll(true)
  }

  close(): void {
    this.#check?.cancel()
    this.#check = undefined
  }

  async #lookAll(asked: boolean): Promise<void> {
    for (const files of this.#files.values()) await files.look(asked)
  }

  #expiries(): Map<string, number> {
    return new Map([...this.#files.values()].map(({ paths, valid }) => [paths['tls.cert'], valid.toMs / 1000]))
  }
}
