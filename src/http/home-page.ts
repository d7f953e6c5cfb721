import type { Endpoint } from './endpoints.ts'
import type { GatewayOverview } from './status.ts'

const style = `body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
table { border-collapse: collapse } td { padding: 0.15rem 1.5rem 0.15rem 0; vertical-align: top } code { white-space: nowrap }`

/** The page at `/`: which gateway this is, where to connect, and a link to everything that is served. */
export function homePage(gateway: GatewayOverview, endpoints: readonly Endpoint[]): string {
  const listeners = Object.entries(gateway.listeners).map(([front, address]) =>
    row(escapeHtml(front), address === '' ? 'off' : code(address)),
  )
  const links = endpoints
    .filter(endpoint => endpoint.path !== '/')
    .map(endpoint => row(link(endpoint), escapeHtml(endpoint.summary)))
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Brooklet ${escapeHtml(gateway.id)}</title>
<style>
${style}
</style>
</head>
<body>
<h1>Brooklet ${escapeHtml(gateway.id)}</h1>
<p>Version ${escapeHtml(gateway.version)}, log ${code(gateway.logId)}, ${gateway.topics} topics.</p>
<h2>Listeners</h2>
<table>
${listeners.join('\n')}
</table>
<h2>Here</h2>
<table>
${links.join('\n')}
</table>
</body>
</html>
`
}

/** Commands, and paths with a placeholder or a needed parameter, cannot be followed as they stand. */
function link({ method, path, query }: Endpoint): string {
  if (method === 'POST') return code(`POST ${path}`)
  const names = Object.keys(query ?? {})
  if (names.length > 0) return code(`${path}?${names.map(name => `${name}=...`).join('&')}`)
  return path.includes('{') ? code(path) : `<a href="${path}">${code(path)}</a>`
}

const row = (left: string, right: string): string => `<tr><td>${left}</td><td>${right}</td></tr>`
const code = (text: string): string => `<code>${escapeHtml(text)}</code>`
const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
