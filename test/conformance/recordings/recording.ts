import { expect } from 'vitest'
import type { WireClient } from '../../support/wire-client.ts'
import type { Stage } from '../stage.ts'

/**
 * Bytes that go over a connection, packet by packet: hex digits are bytes, text between apostrophes is UTF-8. They were put together
 * from the source that is named, for a device with these names; nobody listened to a real one.
 */
export interface Recording {
  readonly connect: string
  readonly connack: string
  /** What is sent next, and what comes back for it. */
  readonly exchange: readonly { readonly sends: string; readonly hears?: string }[]
}

export const bytesOf = (recorded: string): Buffer =>
  Buffer.concat(
    [...recorded.matchAll(/'([^']*)'|([0-9a-f]+)/g)].map(([, text, hex]) =>
      text === undefined ? Buffer.from(hex!, 'hex') : Buffer.from(text),
    ),
  )

/** Connects and goes through the exchange; what comes is what was recorded, byte by byte, and nothing else. */
export async function play(stage: Stage, { connect, connack, exchange }: Recording): Promise<WireClient> {
  const client = await stage.open(4)
  for (const { sends, hears } of [{ sends: connect, hears: connack }, ...exchange]) {
    client.send(bytesOf(sends))
    if (hears !== undefined) await hear(client, hears)
  }
  expect(await client.ping()).toEqual([])
  return client
}

export async function hear(client: WireClient, ...recorded: readonly string[]): Promise<void> {
  for (const one of recorded) expect((await client.next()).bytes).toEqual(bytesOf(one))
}
