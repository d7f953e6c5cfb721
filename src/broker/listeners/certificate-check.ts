import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { DAY_MS } from '../../config/quantities.ts'
import type { TlsCredentials } from '../../platform/tls-identity.ts'

export type CredentialKey = 'tls.cert' | 'tls.key' | 'tls.ca'

/** A file that TLS cannot be spoken with; the text is for the user. */
export class CredentialFault extends Error {
  override name = 'CredentialFault'
  readonly key: CredentialKey

  constructor(key: CredentialKey, reason: string) {
    super(reason)
    this.key = key
  }
}

/** Wall-clock milliseconds between which the certificate holds. */
export interface ValidTime {
  readonly fromMs: number
  readonly toMs: number
}

export type Validity = 'good' | 'expires soon' | 'has expired' | 'is not valid yet'

const soonMs = 21 * DAY_MS

/** Throws `CredentialFault` unless all are PEM and the key is that of the certificate. */
export function checkCredentials({ cert, key, ca }: TlsCredentials): ValidTime {
  const certificate = readCertificate('tls.cert', cert)
  if (ca !== undefined) readCertificate('tls.ca', ca)
  if (!certificate.checkPrivateKey(readKey(key)))
    throw new CredentialFault('tls.key', 'is not the key of the certificate in tls.cert')
  return { fromMs: Date.parse(certificate.validFrom), toMs: Date.parse(certificate.validTo) }
}

export function validityAt(wallMs: number, { fromMs, toMs }: ValidTime): Validity {
  if (wallMs < fromMs) return 'is not valid yet'
  if (wallMs >= toMs) return 'has expired'
  return toMs - wallMs < soonMs ? 'expires soon' : 'good'
}

function readCertificate(key: CredentialKey, pem: Buffer): X509Certificate {
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new CredentialFault(key, 'holds no certificate in PEM form')
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new CredentialFault(key, `cannot be read as a certificate: ${(error as Error).message}`)
  }
}

function readKey(pem: Buffer): KeyObject {
  if (!pem.includes('PRIVATE KEY-----')) throw new CredentialFault('tls.key', 'holds no private key in PEM form')
  try {
    return createPrivateKey(pem)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isEncrypted = code === 'ERR_MISSING_PASSPHRASE' || pem.includes('ENCRYPTED')
    throw new CredentialFault(
      'tls.key',
      isEncrypted ? 'is protected by a passphrase; store it without' : `cannot be read as a private key: ${message}`,
    )
  }
}
