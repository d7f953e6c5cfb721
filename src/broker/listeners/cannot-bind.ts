import { formatListenUrl, frontOf, type ListenUrl } from '../../config/listen-url.ts'
import { StartError } from '../../core/errors.ts'
import { isSystemError, systemErrorText } from '../../core/system-error.ts'

/** What ends a start at which nobody can listen at `url`: exit code 69. An error that is none of the system stays what it is. */
export const cannotBind = (url: ListenUrl, error: unknown): unknown => {
  if (!isSystemError(error)) return error
  const front = frontOf(url)
  const why = systemErrorText(error)
  const address = url.path === undefined ? 'HOST:PORT' : 'ADDRESS'
  return new StartError(
    69,
    `${front}.listen: cannot bind ${formatListenUrl(url)}: ${why}; choose another address with --${front}-listen ${address}`,
  )
}
