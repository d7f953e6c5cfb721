import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { scramExchange } from '../../../src/client/scram.ts'

const pencil = { username: 'user', password: 'pencil', nonce: 'rOprNGfwEbeRWgbNEkqO' } as const
const serverNonce = `${pencil.nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`
const salt = 'W22ZaJ0SNY7soEsUEjb6gQ=='
const serverFirst = `r=${serverNonce},s=${salt},i=4096`

describe('SCRAM-SHA-256', () => {
  const begin = () => scramExchange({ mechanism: 'SCRAM-SHA-256', ...pencil })

  it('says what the example of RFC 7677 (section 3) says', async () => {
    const exchange = begin()
    expect(exchange.start().toString()).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
    const proof = await exchange.next(Buffer.from(serverFirst))
    expect(proof?.toString()).toBe(`c=biws,r=${serverNonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`)
    const end = await exchange.next(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='))
    expect(end).toBeUndefined()
  })

  it.each([
    ['v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95H4=', 'it may not be the one'],
    ['v=', 'it may not be the one'],
    ['', 'it may not be the one'],
    ['e=other-error', 'the broker says: other-error'],
  ])('does not take %j for the signature of the broker', async (final, why) => {
    const exchange = begin()
    await exchange.next(Buffer.from(serverFirst))
    await expect(exchange.next(Buffer.from(final))).rejects.toThrow(why)
  })

  it.each([
    [`r=${pencil.nonce},s=${salt},i=4096`, 'answers somebody else'],
    [`r=another,s=${salt},i=4096`, 'answers somebody else'],
    [`r=${serverNonce},s=${salt},i=1`, 'asks for 1 iterations'],
    [`r=${serverNonce},s=${salt},i=999999999`, 'asks for 999999999 iterations'],
    [`r=${serverNonce},s=${salt}`, 'asks for no iterations'],
    [`m=x,${serverFirst}`, 'extension'],
    ['e=unknown-user', 'the broker says: unknown-user'],
    ['', 'answers somebody else'],
  ])('does not go on after %j', async (first, why) => {
    await expect(begin().next(Buffer.from(first))).rejects.toThrow(why)
  })

  it('escapes what would end a user name', () => {
    const exchange = scramExchange({ mechanism: 'SCRAM-SHA-256', username: 'a=b,c', password: '', nonce: 'x' })
    expect(exchange.start().toString()).toBe('n,,n=a=3Db=2Cc,r=x')
  })
})

describe('SCRAM-SHA-512', () => {
  it('proves the password, and wants it proved, with the longer hash', async () => {
    const exchange = scramExchange({ mechanism: 'SCRAM-SHA-512', ...pencil })
    const clientFinal = (await exchange.next(Buffer.from(serverFirst)))!.toString()
    // what a server does (RFC 5802, section 3): the stored key is the hash of what the proof hides
    const hmac = (key: Buffer, text: string) => createHmac('sha512', key).update(text).digest()
    const salted = pbkdf2Sync('pencil', Buffer.from(salt, 'base64'), 4096, 64, 'sha512')
    const storedKey = createHash('sha512').update(hmac(salted, 'Client Key')).digest()
    const [, withoutProof = '', proof = ''] = /^(.*),p=(.*)$/.exec(clientFinal) ?? []
    const signed = `n=user,r=${pencil.nonce},${serverFirst},${withoutProof}`
    const signature = hmac(storedKey, signed)
    const clientKey = Buffer.from(Buffer.from(proof, 'base64').map((byte, index) => byte ^ signature[index]!))
    expect(createHash('sha512').update(clientKey).digest()).toEqual(storedKey)
    const verifier = hmac(hmac(salted, 'Server Key'), signed).toString('base64')
    expect(await exchange.next(Buffer.from(`v=${verifier}`))).toBeUndefined()
  })
})
