import type { CertificateParts } from './broker/listeners/certificate-files.ts'
import { Certificates } from './broker/listeners/certificates.ts'
import { isTls } from './config/listen-url.ts'
import { type Settings, settingsOf } from './config/settings.ts'
import { readNodeCredentialFile } from './platform/node/credential-file.ts'
import { tryNodeCredentials } from './platform/node/tls-server.ts'

/** The certificates of all TLS listeners. Throws one `StartError` (exit code 64) that names every problem of their files. */
export const openCertificates = (
  settings: Settings,
  parts: Omit<CertificateParts, 'read' | 'tryCredentials'>,
): Promise<Certificates> => {
  const urls = [...settings['mqtt.listen'], ...settings['kafka.listen'], ...settings['http.listen']]
  const listeners = urls.filter(isTls).map(url => settingsOf(settings, url))
  return Certificates.open(listeners, { ...parts, read: readNodeCredentialFile, tryCredentials: tryNodeCredentials })
}
