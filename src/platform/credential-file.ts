export interface CredentialFile {
  readonly content: Buffer
  /** Every user of the machine may read it. */
  readonly openToAll: boolean
}

/** Reads a certificate or a key, at most 1 MiB. Rejects with Node's `code`; EFBIG when the file is larger. */
export type ReadCredentialFile = (path: string) => Promise<CredentialFile>
