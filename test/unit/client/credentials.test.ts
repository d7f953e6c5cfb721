import { describe, expect, it } from 'vitest'
import { Credentials } from '../../../src/client/credentials.ts'
import type { ClientSecurity, Login } from '../../../src/client/security.ts'
import type { FormPost, HttpAnswer } from '../../../src/platform/http-post.ts'
import { nodeRandom } from '../../../src/platform/node/random.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

/** Files by path, and an endpoint that answers as told. */
const open = (security: Partial<ClientSecurity>) => {
  const files = new Map<string, string>()
  const clock = new VirtualClock()
  const posts: FormPost[] = []
  const endpoint: { answer: HttpAnswer | Error } = { answer: { status: 200, body: '{}' } }
  const credentials = new Credentials(
    { tls: undefined, login: undefined, ...security },
    {
      clock,
      random: nodeRandom,
      async read(path) {
        const content = files.get(path)
        if (content === undefined) throw Object.assign(new Error('no'), { code: 'ENOENT' })
        return { content: Buffer.from(content), openToAll: false }
      },
      async postForm(post) {
        posts.push(post)
        if (endpoint.answer instanceof Error) throw endpoint.answer
        return endpoint.answer
      },
    },
  )
  return { credentials, files, clock, posts, endpoint }
}

const firstWords = async (credentials: Credentials): Promise<string> =>
  (await credentials.exchange())!.start().toString()

describe('without security', () => {
  it('there is neither TLS nor login', async () => {
    const { credentials } = open({})
    expect([await credentials.trust(), await credentials.exchange()]).toEqual([undefined, undefined])
  })
})

describe('files of TLS', () => {
  const own = { cert: '/own.pem', key: '/own.key', passphrase: 'p' }
  const pem = (what: string, mark = ''): string => `-----BEGIN ${what}-----\n${mark}\n-----END ${what}-----\n`

  it('are read again for each connection', async () => {
    const { credentials, files } = open({ tls: { ca: '/ca.pem', own, checkHostName: true } })
    files.set('/own.pem', pem('CERTIFICATE')).set('/own.key', pem('ENCRYPTED PRIVATE KEY'))
    for (const mark of ['old', 'new']) {
      files.set('/ca.pem', pem('CERTIFICATE', mark))
      const trust = await credentials.trust()
      expect(trust?.ca?.toString()).toContain(mark)
      expect(trust).toMatchObject({ own: { passphrase: 'p' }, checkHostName: true })
    }
  })

  it('that are missing or something else are named', async () => {
    const { credentials, files } = open({ tls: { ca: '/ca.pem', own, checkHostName: true } })
    await expect(credentials.trust()).rejects.toThrow('there is no file /ca.pem')
    files.set('/ca.pem', 'PK').set('/own.pem', pem('CERTIFICATE')).set('/own.key', pem('CERTIFICATE'))
    await expect(credentials.trust()).rejects.toThrow('/ca.pem holds no certificate in PEM form')
    files.set('/ca.pem', pem('CERTIFICATE'))
    await expect(credentials.trust()).rejects.toThrow('/own.key holds no private key in PEM form')
  })
})

describe('a token', () => {
  const login = (token: (Login & { mechanism: 'OAUTHBEARER' })['token']): Login => ({ mechanism: 'OAUTHBEARER', token })
  const endpointLogin = login({
    kind: 'endpoint',
    url: 'https://login/token',
    clientId: 'a:b',
    clientSecret: 's&',
    scope: 'kafka',
  })

  it('in a file is read again for each connection', async () => {
    const { credentials, files } = open({ login: login({ kind: 'file', path: '/token' }) })
    for (const token of ['one.two.three', 'four.five.six']) {
      files.set('/token', `${token}\n`)
      expect(await firstWords(credentials)).toBe(`n,,\x01auth=Bearer ${token}\x01\x01`)
    }
    files.set('/token', 'two words')
    await expect(credentials.exchange()).rejects.toThrow('/token holds no token')
  })

  it('from an endpoint is asked for with the client credentials grant, and used for four fifths of its life', async () => {
    const { credentials, clock, posts, endpoint } = open({ login: endpointLogin })
    endpoint.answer = { status: 200, body: '{"access_token":"t1","expires_in":100,"token_type":"bearer"}' }
    expect(await firstWords(credentials)).toContain('Bearer t1')
    expect(posts).toMatchObject([
      {
        url: 'https://login/token',
        fields: { grant_type: 'client_credentials', scope: 'kafka' },
        user: 'a%3Ab',
        password: 's%26',
        trust: { ca: undefined, own: undefined, checkHostName: true },
      },
    ])
    endpoint.answer = { status: 200, body: '{"access_token":"t2","expires_in":100}' }
    await clock.advance(79_000)
    expect(await firstWords(credentials)).toContain('Bearer t1')
    await clock.advance(1_000)
    expect(await firstWords(credentials)).toContain('Bearer t2')
  })

  it.each<[HttpAnswer | Error, string]>([
    [{ status: 401, body: '{"error":"invalid_client"}' }, '401 invalid_client'],
    [{ status: 502, body: '<html>' }, '502'],
    [{ status: 200, body: '[]' }, 'the answer has no access_token'],
    [{ status: 200, body: '{"access_token":"a\\u0001b"}' }, 'the answer has no access_token'],
    [new Error('connect ECONNREFUSED'), 'connect ECONNREFUSED'],
  ])('that is not given is said: %j', async (answer, why) => {
    const { credentials, endpoint } = open({ login: endpointLogin })
    endpoint.answer = answer
    await expect(credentials.exchange()).rejects.toThrow(`no token from https://login/token: ${why}`)
  })
})
