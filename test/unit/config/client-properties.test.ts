import { describe, expect, it } from 'vitest'
import { clientSecurity } from '../../../src/client/security.ts'
import { readClientProperties } from '../../../src/config/client-properties.ts'
import { readProperties } from '../../../src/config/properties-file.ts'

const read = (...lines: string[]) => clientSecurity(readClientProperties('c.properties', lines.join('\n')))
const problems = (...lines: string[]): string[] => {
  try {
    read(...lines)
    return []
  } catch (error) {
    return (error as Error).message.split('\n').slice(1)
  }
}

describe('a properties file', () => {
  it('is read as Java does', () => {
    const lines = [
      '# x',
      '! x',
      '',
      ' a = 1 ',
      'b:2',
      'c 3',
      'd=x\\',
      '   y',
      'e\\ f=\\u0041\\t\\\\',
      'g',
      'h=p=q',
      'i=z\\\\',
    ]
    expect(readProperties(lines.join('\r\n')).map(({ key, value, line }) => [key, value, line])).toEqual([
      ['a', '1 ', 4],
      ['b', '2', 5],
      ['c', '3', 6],
      ['d', 'xy', 7],
      ['e f', 'A\t\\', 9],
      ['g', '', 10],
      ['h', 'p=q', 11],
      ['i', 'z\\', 12],
    ])
  })
})

describe('how to connect', () => {
  it('is without TLS and login when nothing is said, and what is not about it is passed over', () => {
    expect(read('client.id=x', 'request.timeout.ms=1')).toEqual({ tls: undefined, login: undefined })
  })

  it('has the names of Java', () => {
    const jaas = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="a b" \\'
    expect(
      read(
        'security.protocol=SASL_SSL',
        'ssl.truststore.type=PEM',
        'ssl.truststore.location=/ca.pem',
        'ssl.keystore.location=/own.pem',
        'ssl.endpoint.identification.algorithm=',
        'sasl.mechanism=PLAIN',
        `sasl.jaas.config=${jaas}`,
        '  password="x\\\\"y;";',
      ),
    ).toEqual({
      tls: { ca: '/ca.pem', own: { cert: '/own.pem', key: '/own.pem', passphrase: '' }, checkHostName: false },
      login: { mechanism: 'PLAIN', username: 'a b', password: 'x"y;' },
    })
  })

  it('has the names of librdkafka', () => {
    expect(
      read(
        'security.protocol=SASL_SSL',
        'ssl.ca.location=/ca.pem',
        'ssl.certificate.location=/c.pem',
        'ssl.key.location=/k.pem',
        'ssl.key.password=p',
        'sasl.mechanisms=OAUTHBEARER',
        'sasl.oauthbearer.method=oidc',
        'sasl.oauthbearer.token.endpoint.url=https://login.example/token',
        'sasl.oauthbearer.client.id=id',
        'sasl.oauthbearer.client.secret=s',
        'sasl.oauthbearer.scope=kafka',
      ),
    ).toEqual({
      tls: { ca: '/ca.pem', own: { cert: '/c.pem', key: '/k.pem', passphrase: 'p' }, checkHostName: true },
      login: {
        mechanism: 'OAUTHBEARER',
        token: {
          kind: 'endpoint',
          url: 'https://login.example/token',
          clientId: 'id',
          clientSecret: 's',
          scope: 'kafka',
        },
      },
    })
  })

  it('takes a token from a file', () => {
    const { login } = read(
      'security.protocol=SASL_PLAINTEXT',
      'sasl.mechanism=OAUTHBEARER',
      'sasl.oauthbearer.token.endpoint.url=file:///run/a%20token',
    )
    expect(login).toEqual({ mechanism: 'OAUTHBEARER', token: { kind: 'file', path: '/run/a token' } })
  })

  it.each([
    [['security.protocol=ssl'], '  security.protocol (c.properties:1): "ssl" is not one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL; nearest: SSL'],
    [['ssl.truststore.locaton=/x'], '  ssl.truststore.locaton (c.properties:1): is not known here; nearest: ssl.truststore.location'],
    [['ssl.truststore.type=JKS'], '  ssl.truststore.type (c.properties:1): has one value here; nearest: ssl.truststore.type=PEM'],
    [['ssl.truststore.location=/x'], '  ssl.truststore.location (c.properties:1): has no effect with security.protocol=PLAINTEXT; nearest: security.protocol=SSL'],
    [['sasl.username=/x', 'security.protocol=SSL'], '  sasl.username (c.properties:1): has no effect with security.protocol=SSL; nearest: security.protocol=SASL_SSL'],
    [['security.protocol=SASL_SSL', 'sasl.username=a'], '  sasl.password (c.properties): is needed for SCRAM-SHA-512, or password in sasl.jaas.config'],
    [['security.protocol=SASL_SSL', 'sasl.mechanism=OAUTHBEARER'], '  sasl.oauthbearer.token.endpoint.url (c.properties): is needed for OAUTHBEARER'],
    [['security.protocol=SASL_SSL', 'sasl.mechanism=OAUTHBEARER', 'sasl.oauthbearer.token.endpoint.url=file://['], '  sasl.oauthbearer.token.endpoint.url (c.properties:3): is neither file:///PATH nor https://...'],
    [['security.protocol=SASL_SSL', 'sasl.mechanism=OAUTHBEARER', 'sasl.oauthbearer.token.endpoint.url=file:///run/%zz'], '  sasl.oauthbearer.token.endpoint.url (c.properties:3): is neither file:///PATH nor https://...'],
    [['security.protocol=SASL_SSL', 'sasl.mechanism=OAUTHBEARER', 'sasl.oauthbearer.token.endpoint.url=http://login.example/token', 'sasl.jaas.config=x required clientId="a" clientSecret="b";'], '  sasl.oauthbearer.token.endpoint.url (c.properties:3): is neither file:///PATH nor https://...'],
    [['security.protocol=SSL', 'ssl.key.location=/k'], '  ssl.key.location (c.properties:2): needs ssl.certificate.location'],
    [['security.protocol=SSL', 'ssl.keystore.location=/a', 'ssl.certificate.location=/c', 'ssl.key.location=/k'], '  ssl.keystore.location (c.properties:2): holds a key and its certificate: say either this or the two files'],
  ])('%j is refused', (lines, problem) => {
    expect(problems(...lines)).toEqual([problem])
  }) // biome-ignore format: a table

  it('an error about a secret does not repeat it', () => {
    const found = problems('security.protocol=SASL_SSL', 'sasl.jaas.config=password="hidden"')
    expect(found.join('\n')).toContain('sasl.jaas.config (c.properties:2)')
    expect(found.join('\n')).not.toContain('hidden')
  })
})
