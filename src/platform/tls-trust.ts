/** What a TLS client trusts and shows; all texts are PEM. */
export interface TlsTrust {
  /** CAs that certificates of servers must come from; undefined: the public ones. */
  readonly ca: Buffer | undefined
  /** The certificate to show, then those that lead from it to its CA. */
  readonly own: { readonly cert: Buffer; readonly key: Buffer; readonly passphrase: string } | undefined
  /** The certificate must name the host that was asked for. */
  readonly checkHostName: boolean
}
