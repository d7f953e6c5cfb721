import type { ClientSecurityValues } from '../config/client-security.ts'

/** How connections to a cluster are secured. Files are named, not read: they may change. */
export interface ClientSecurity {
  readonly tls: TlsFiles | undefined
  readonly login: Login | undefined
}

/** Paths of PEM files. */
export interface TlsFiles {
  /** Undefined: the public CAs. */
  readonly ca: string | undefined
  /** The certificate to show and its key, which may be in one file. */
  readonly own: { readonly cert: string; readonly key: string; readonly passphrase: string } | undefined
  readonly checkHostName: boolean
}

export type ScramMechanism = 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

export type Login =
  | { readonly mechanism: 'PLAIN' | ScramMechanism; readonly username: string; readonly password: string }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: TokenSource }

export type TokenSource =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'endpoint'
      readonly url: string
      readonly clientId: string
      readonly clientSecret: string
      readonly scope: string
    }

/** What the settings mean, once `checkClientSecurity` has nothing against them. */
export const clientSecurity = (values: ClientSecurityValues): ClientSecurity => {
  const protocol = values['security.protocol']
  return {
    tls: protocol.endsWith('SSL') ? tlsFiles(values) : undefined,
    login: protocol.startsWith('SASL') ? login(values) : undefined,
  }
}

const tlsFiles = (values: ClientSecurityValues): TlsFiles => {
  const both = values['ssl.keystore.location']
  const cert = both || values['ssl.certificate.location']
  const key = both || values['ssl.key.location']
  return {
    ca: values['ssl.truststore.location'] || undefined,
    own: cert === '' ? undefined : { cert, key, passphrase: values['ssl.key.password'] },
    checkHostName: values['ssl.endpoint.identification.algorithm'] === 'https',
  }
}

const login = (values: ClientSecurityValues): Login => {
  const mechanism = values['sasl.mechanism']
  const jaas = values['sasl.jaas.config']
  if (mechanism === 'OAUTHBEARER') return { mechanism, token: tokenSource(values) }
  return {
    mechanism,
    username: values['sasl.username'] || (jaas.get('username') ?? ''),
    password: values['sasl.password'] || (jaas.get('password') ?? ''),
  }
}

const tokenSource = (values: ClientSecurityValues): TokenSource => {
  const url = values['sasl.oauthbearer.token.endpoint.url']
  const jaas = values['sasl.jaas.config']
  if (url.startsWith('file:')) return { kind: 'file', path: decodeURIComponent(new URL(url).pathname) }
  return {
    kind: 'endpoint',
    url,
    clientId: values['sasl.oauthbearer.client.credentials.client.id'] || (jaas.get('clientId') ?? ''),
    clientSecret: values['sasl.oauthbearer.client.credentials.client.secret'] || (jaas.get('clientSecret') ?? ''),
    scope: values['sasl.oauthbearer.scope'] || (jaas.get('scope') ?? ''),
  }
}
