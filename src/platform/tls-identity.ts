/** What a TLS listener shows of itself and asks of its clients; all texts are PEM. */
export interface TlsCredentials {
  /** The certificate, then those that lead from it to its CA. */
  readonly cert: Buffer
  readonly key: Buffer
  /** CAs that certificates of clients must come from. */
  readonly ca: Buffer | undefined
}

export interface TlsRules {
  /** `requested`: a client may come without a certificate, but not with one that is not of `ca`. */
  readonly clientAuth: 'none' | 'requested' | 'required'
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
}

/** The credentials of a listener, which are renewed while it listens. Connections keep those they began with. */
export interface TlsIdentity {
  readonly rules: TlsRules
  readonly credentials: TlsCredentials
  onRenewal(listener: (credentials: TlsCredentials) => void): void
}

/** Throws when TLS cannot be spoken with these: a key too short, an algorithm that is not there. */
export type TryCredentials = (credentials: TlsCredentials, rules: TlsRules) => void
