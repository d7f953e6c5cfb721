/** What Node's codes mean, in words for the user. */
const meanings: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EAI_AGAIN: 'no name server answers',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EEXIST: 'a file is in the way',
  EHOSTUNREACH: 'no route to the host',
  EIO: 'input or output error of the device',
  EISDIR: 'it is a directory',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  ENETUNREACH: 'no route to the network',
  ENOENT: 'there is no such file or directory',
  ENOSPC: 'the file system is full',
  ENOTDIR: 'it is not a directory',
  ENOTFOUND: 'there is no such host',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
}

/** An error of the operating system; Node's own errors have codes too, that begin with ERR_. */
export const isSystemError = (error: unknown): error is Error & { readonly code: string } => {
  const { code } = error as { readonly code?: unknown }
  return error instanceof Error && typeof code === 'string' && /^E(?!RR_)/.test(code)
}

/**
 * An error of the operating system as a message of ours quotes it: what it means and its code, `connection refused (ECONNREFUSED)`. What has
 * another code, or none, in its own words.
 */
export const systemErrorText = ({ message, code }: Error & { readonly code?: string | undefined }): string => {
  const meaning = code === undefined ? undefined : meanings[code]
  // several addresses of one name fail together, without a message of their own
  return meaning === undefined ? message || (code ?? 'unknown error') : `${meaning} (${code})`
}
