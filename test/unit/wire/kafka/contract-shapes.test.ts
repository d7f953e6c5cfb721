import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { AnyApi } from '../../../../src/wire/kafka/api.ts'
import * as contracts from '../../../../src/wire/kafka/contracts/index.ts'
import { type AnyField, isDefault, type Shape } from '../../../../src/wire/kafka/field.ts'
import { type ApiDigest, digestOf, protocolFolder } from '../../../support/kafka-shapes.mjs'

const digest = JSON.parse(readFileSync(new URL('official-shapes.digest.json', import.meta.url), 'utf8')) as Record<
  string,
  ApiDigest
>
const apis = Object.values(contracts) as readonly AnyApi[]

describe('contracts are the official definitions, field by field', () => {
  it.each(apis.map(api => [api.name, api] as const))('%s', (name, api) => {
    expect(contractDigest(api)).toEqual(digest[name])
  })

  it('are all there is, once each', () => {
    expect(new Set(apis.map(api => api.key)).size).toBe(apis.length)
    expect(apis).toHaveLength(32)
  })

  it('would be told apart by one changed attribute', () => {
    const { heartbeat } = contracts
    const fields = { ...heartbeat.request, groupInstanceId: contracts.syncGroup.request.protocolType }
    expect(contractDigest({ ...heartbeat, request: fields } as AnyApi)).not.toEqual(digest['Heartbeat'])
  })
})

it('Produce is advertised from 0, all others from their first version', () => {
  const different = apis.filter(api => api.advertisedMin !== api.versions[0])
  expect(different.map(api => [api.name, api.advertisedMin])).toEqual([['Produce', 0]])
})

const folder = protocolFolder()
it.runIf(folder !== undefined)('the digest is fresh (node test/support/kafka-shapes.mjs makes it)', () => {
  expect(digestOf(folder!)).toEqual(digest)
})

function contractDigest(api: AnyApi): ApiDigest {
  return {
    key: api.key,
    versions: api.versions,
    flexible: Number.isFinite(api.flexible) ? api.flexible : null,
    request: shapeLines(api.request, api.versions, 0),
    response: shapeLines(api.response, api.versions, 0),
  }
}

function shapeLines(shape: Shape, parent: readonly [number, number], depth: number): string[] {
  return Object.entries(shape).flatMap(([name, field]) => {
    const { since = 0, until = Number.POSITIVE_INFINITY, tagged } = field.options
    const versions = [Math.max(since, tagged?.since ?? 0, parent[0]), Math.min(until, parent[1])] as const
    const members = field.shape ?? field.element?.shape ?? {}
    const line = [name, typeName(field), versions.join('-'), ...attributes(field, versions)].join(' ')
    return [`${'  '.repeat(depth)}${line}`, ...shapeLines(members, versions, depth + 1)]
  })
}

function typeName({ type, element }: AnyField): string {
  if (element !== undefined) return `[]${typeName(element)}`
  return type === 'int64Big' ? 'int64' : type
}

function attributes(field: AnyField, versions: readonly [number, number]): string[] {
  const { nullableSince = 0, tagged, ignorable, default: byDefault } = field.options
  const zero = field.zero()
  const isZero = byDefault === undefined || byDefault === zero || (byDefault !== null && isDefault(field, zero))
  return [
    ...(field.nullable ? [`null:${Math.max(nullableSince, versions[0])}-${versions[1]}`] : []),
    ...(isZero ? [] : [`=${String(byDefault)}`]),
    ...(tagged === undefined ? [] : [`tag:${tagged.tag}`]),
    ...(ignorable === true ? ['ignorable'] : []),
  ]
}
