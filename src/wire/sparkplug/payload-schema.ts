import protobuf from 'protobufjs/light.js'

type Fields = Readonly<Record<string, readonly [id: number, type: string, rule?: 'repeated']>>

// in proto2, which the schema is written in, a 0 that was sent is there
const schema = (fields: Fields, nested: Readonly<Record<string, object>> = {}): object => ({
  edition: 'proto2',
  fields: Object.fromEntries(
    Object.entries(fields).map(([name, [id, type, rule]]) => [
      name,
      rule === undefined ? { id, type } : { id, type, rule },
    ]),
  ),
  nested,
})

/** One of these is set. What a metric can be beyond them has higher numbers. */
const values = (first: number): Fields => ({
  intValue: [first, 'uint32'],
  longValue: [first + 1, 'uint64'],
  floatValue: [first + 2, 'float'],
  doubleValue: [first + 3, 'double'],
  booleanValue: [first + 4, 'bool'],
  stringValue: [first + 5, 'string'],
})

const template = schema(
  {
    version: [1, 'string'],
    metrics: [2, 'Metric', 'repeated'],
    parameters: [3, 'Parameter', 'repeated'],
    templateRef: [4, 'string'],
    isDefinition: [5, 'bool'],
  },
  { Parameter: schema({ name: [1, 'string'], type: [2, 'uint32'], ...values(3) }) },
)

const metric = schema({
  name: [1, 'string'],
  alias: [2, 'uint64'],
  timestamp: [3, 'uint64'],
  datatype: [4, 'uint32'],
  isHistorical: [5, 'bool'],
  isTransient: [6, 'bool'],
  isNull: [7, 'bool'],
  metadata: [8, 'MetaData'],
  properties: [9, 'PropertySet'],
  ...values(10),
  bytesValue: [16, 'bytes'],
  datasetValue: [17, 'DataSet'],
  templateValue: [18, 'Template'],
})

/** The payload of Sparkplug B (Sparkplug 3.0, section 6.4). */
const root = protobuf.Root.fromJSON({
  nested: {
    Payload: schema({
      timestamp: [1, 'uint64'],
      metrics: [2, 'Metric', 'repeated'],
      seq: [3, 'uint64'],
      uuid: [4, 'string'],
      body: [5, 'bytes'],
    }),
    Metric: metric,
    Template: template,
    MetaData: schema({ contentType: [2, 'string'], description: [8, 'string'] }),
    DataSet: schema({
      numOfColumns: [1, 'uint64'],
      columns: [2, 'string', 'repeated'],
      types: [3, 'uint32', 'repeated'],
      rows: [4, 'Row', 'repeated'],
    }),
    Row: schema({ elements: [1, 'Value', 'repeated'] }),
    Value: schema(values(1)),
    PropertySet: schema({ keys: [1, 'string', 'repeated'], values: [2, 'PropertyValue', 'repeated'] }),
    PropertySetList: schema({ propertyset: [1, 'PropertySet', 'repeated'] }),
    PropertyValue: schema({
      type: [1, 'uint32'],
      isNull: [2, 'bool'],
      ...values(3),
      propertysetValue: [9, 'PropertySet'],
      propertysetsValue: [10, 'PropertySetList'],
    }),
  },
} as protobuf.INamespace)

export const payloadType = root.lookupType('Payload')

/** A 64-bit number as protobufjs has it. */
export interface Long {
  readonly unsigned: boolean
  toSigned(): Long
  toString(): string
}

/** What is set of a value. */
export interface WireValue {
  readonly intValue?: number
  readonly longValue?: Long
  readonly floatValue?: number
  readonly doubleValue?: number
  readonly booleanValue?: boolean
  readonly stringValue?: string
}

export interface WireDataSet {
  readonly columns?: readonly string[]
  readonly types?: readonly number[]
  readonly rows?: readonly { readonly elements?: readonly WireValue[] }[]
}

export interface WireTemplate {
  readonly version?: string
  readonly templateRef?: string
  readonly isDefinition?: boolean
  readonly metrics?: readonly WireMetric[]
  readonly parameters?: readonly (WireValue & { readonly name?: string; readonly type?: number })[]
}

export interface WireProperties {
  readonly keys?: readonly string[]
  readonly values?: readonly (WireValue & {
    readonly type?: number
    readonly isNull?: boolean
    readonly propertysetValue?: WireProperties
    readonly propertysetsValue?: { readonly propertyset?: readonly WireProperties[] }
  })[]
}

export interface WireMetric extends WireValue {
  readonly name?: string
  readonly alias?: Long
  readonly timestamp?: Long
  readonly datatype?: number
  readonly isHistorical?: boolean
  readonly isTransient?: boolean
  readonly isNull?: boolean
  readonly metadata?: { readonly contentType?: string; readonly description?: string }
  readonly properties?: WireProperties
  readonly bytesValue?: Buffer
  readonly datasetValue?: WireDataSet
  readonly templateValue?: WireTemplate
}

export interface WirePayload {
  readonly timestamp?: Long
  readonly metrics?: readonly WireMetric[]
  readonly seq?: Long
  readonly uuid?: string
  readonly body?: Buffer
}
