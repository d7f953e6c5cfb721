import type { Long, WireDataSet, WireMetric, WireProperties, WireTemplate, WireValue } from './payload-schema.ts'

/** Names of the data types by number (Sparkplug 3.0, section 6.4.16). */
export const typeNames: readonly (string | undefined)[] = [
  undefined,
  ...['Int8', 'Int16', 'Int32', 'Int64', 'UInt8', 'UInt16', 'UInt32', 'UInt64', 'Float', 'Double', 'Boolean', 'String'],
  ...['DateTime', 'Text', 'UUID', 'DataSet', 'Bytes', 'File', 'Template', 'PropertySet', 'PropertySetList'],
  ...['Int8Array', 'Int16Array', 'Int32Array', 'Int64Array', 'UInt8Array', 'UInt16Array', 'UInt32Array', 'UInt64Array'],
  ...['FloatArray', 'DoubleArray', 'BooleanArray', 'StringArray', 'DateTimeArray'],
]

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

const signedBits: Readonly<Record<string, number>> = { Int8: 8, Int16: 16, Int32: 32 }

/** Integers beyond 2^53 as digits; what is no number (NaN, infinite) by its name, for JSON has neither. */
const exact = (value: bigint | number): Json =>
  typeof value === 'number'
    ? Number.isFinite(value)
      ? value
      : String(value)
    : Number.isSafeInteger(Number(value))
      ? Number(value)
      : String(value)

export const bigintOf = (long: Long): bigint => BigInt(long.toString())

/** A scalar of this type. Writers differ in whether they send a number as 32 or 64 bits: both are read. */
function scalarOf(type: string | undefined, value: WireValue): Json {
  const { intValue, longValue, floatValue, doubleValue, booleanValue, stringValue } = value
  const bits = type === undefined ? undefined : signedBits[type]
  if (intValue !== undefined) return bits === undefined ? intValue : (intValue << (32 - bits)) >> (32 - bits)
  if (longValue !== undefined) {
    const number = bigintOf(longValue)
    return exact(type === 'Int64' || bits !== undefined ? BigInt.asIntN(bits ?? 64, number) : number)
  }
  if (floatValue !== undefined) return exact(shortest(floatValue))
  if (doubleValue !== undefined) return exact(doubleValue)
  return booleanValue ?? stringValue ?? null
}

/** The shortest decimal that is the same 32-bit number: 21.5, not 21.299999237060547. */
const shortest = (value: number): number => {
  for (let digits = 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits))
    if (Math.fround(rounded) === value) return rounded
  }
  return value
}

/** The value of a metric of this type. */
export function metricValueOf(type: string | undefined, metric: WireMetric): Json {
  if (metric.isNull === true) return null
  if (metric.datasetValue !== undefined) return dataSetOf(metric.datasetValue)
  if (metric.templateValue !== undefined) return templateOf(metric.templateValue)
  if (metric.bytesValue !== undefined) return arrayOf(type, metric.bytesValue) ?? metric.bytesValue.toString('base64')
  return scalarOf(type, metric)
}

const dataSetOf = ({ columns = [], types = [], rows = [] }: WireDataSet): Json => ({
  columns,
  types: types.map(type => typeNames[type] ?? type),
  rows: rows.map(({ elements = [] }) => elements.map((value, index) => scalarOf(typeNames[types[index] ?? 0], value))),
})

const templateOf = ({ version, templateRef, isDefinition, metrics = [], parameters = [] }: WireTemplate): Json => ({
  ...(version !== undefined && { version }),
  ...(templateRef !== undefined && { templateRef }),
  ...(isDefinition === true && { isDefinition }),
  metrics: metrics.map(metric => {
    const type = typeNames[metric.datatype ?? 0]
    return { name: metric.name ?? null, type: type ?? null, value: metricValueOf(type, metric) }
  }),
  parameters: parameters.map(parameter => {
    const type = typeNames[parameter.type ?? 0]
    return { name: parameter.name ?? null, type: type ?? null, value: scalarOf(type, parameter) }
  }),
})

/** Properties by name; a null object, for names come from outside. */
export function propertiesOf({ keys = [], values = [] }: WireProperties): { readonly [name: string]: Json } {
  const properties: Record<string, Json> = Object.create(null)
  for (const [index, key] of keys.entries()) {
    const value = values[index]
    if (value === undefined || value.isNull === true) properties[key] = null
    else if (value.propertysetValue !== undefined) properties[key] = propertiesOf(value.propertysetValue)
    else if (value.propertysetsValue !== undefined)
      properties[key] = (value.propertysetsValue.propertyset ?? []).map(propertiesOf)
    else properties[key] = scalarOf(typeNames[value.type ?? 0], value)
  }
  return properties
}

type Element = readonly [bytes: number, read: (bytes: Buffer, at: number) => number | bigint]

/** Little endian, one after the other. */
const elements: Readonly<Record<string, Element>> = {
  Int8Array: [1, (bytes, at) => bytes.readInt8(at)],
  Int16Array: [2, (bytes, at) => bytes.readInt16LE(at)],
  Int32Array: [4, (bytes, at) => bytes.readInt32LE(at)],
  Int64Array: [8, (bytes, at) => bytes.readBigInt64LE(at)],
  UInt8Array: [1, (bytes, at) => bytes.readUInt8(at)],
  UInt16Array: [2, (bytes, at) => bytes.readUInt16LE(at)],
  UInt32Array: [4, (bytes, at) => bytes.readUInt32LE(at)],
  UInt64Array: [8, (bytes, at) => bytes.readBigUInt64LE(at)],
  FloatArray: [4, (bytes, at) => shortest(bytes.readFloatLE(at))],
  DoubleArray: [8, (bytes, at) => bytes.readDoubleLE(at)],
  DateTimeArray: [8, (bytes, at) => bytes.readBigUInt64LE(at)],
}

/** The elements of an array type; undefined: the type is none, or the bytes are no such array. */
function arrayOf(type: string | undefined, bytes: Buffer): Json | undefined {
  if (type === 'StringArray') return bytes.toString().split('\0').slice(0, -1)
  if (type === 'BooleanArray') return booleansOf(bytes)
  const element = elements[type ?? '']
  if (element === undefined || bytes.length % element[0] !== 0) return undefined
  const [size, read] = element
  return Array.from({ length: bytes.length / size }, (_, index) => exact(read(bytes, index * size)))
}

/** A count in 32 bits, then a bit each, the highest first. */
function booleansOf(bytes: Buffer): Json | undefined {
  if (bytes.length < 4 || bytes.readUInt32LE(0) > (bytes.length - 4) * 8) return undefined
  const length = bytes.readUInt32LE(0)
  return Array.from({ length }, (_, index) => ((bytes[4 + (index >> 3)]! << (index & 7)) & 0x80) !== 0)
}
