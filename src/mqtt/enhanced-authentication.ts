/** What a step of an exchange came to (MQTT 5 section 4.12). */
export type AuthenticationStep =
  /** The client is asked for more. */
  | { readonly kind: 'continue'; readonly data: Buffer }
  | { readonly kind: 'success'; readonly data?: Buffer }
  /** Not authorised. */
  | { readonly kind: 'failure'; readonly reason: string }

/** One exchange with one client: from CONNECT, or from an AUTH that authenticates again. */
export interface AuthenticationExchange {
  /** Takes what the client sent last; undefined: nothing. */
  step(data: Buffer | undefined): Promise<AuthenticationStep>
}

/** Enhanced authentication (SCRAM, Kerberos and others), as MQTT 5 clients ask for it by method name. */
export interface EnhancedAuthentication {
  /** Undefined: the method is not known. */
  begin(method: string, clientId: string): AuthenticationExchange | undefined
}
