import { createInterface } from 'node:readline'
import { Command, InvalidArgumentError, Option } from 'commander'
import { Producer } from '../client/producer.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import type { NewRecord } from '../wire/kafka/batch-encoding.ts'
import { addClusterOption, type ClusterFlags, withCluster } from './cluster-option.ts'

interface ProduceFlags extends ClusterFlags {
  readonly key?: string
  readonly keySeparator?: string
  readonly header: readonly { key: string; value: Buffer }[]
  readonly partition?: number
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
}

const batchRecords = 500
const timeoutMs = 30_000

const header = (text: string, before: ProduceFlags['header']): ProduceFlags['header'] => {
  const equals = text.indexOf('=')
  if (equals < 1) throw new InvalidArgumentError('name=value is expected.')
  return [...before, { key: text.slice(0, equals), value: Buffer.from(text.slice(equals + 1)) }]
}

const partitionIndex = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a partition number is expected.')
  return Number(text)
}

const toRecord = (line: string, { key, keySeparator, header: headers }: ProduceFlags): NewRecord => {
  const at = keySeparator === undefined ? -1 : line.indexOf(keySeparator)
  const lineKey = at >= 0 ? line.slice(0, at) : key
  const value = at >= 0 ? line.slice(at + keySeparator!.length) : line
  return {
    timestampMs: nodeClock.wallMs(),
    key: lineKey === undefined ? null : Buffer.from(lineKey),
    value: Buffer.from(value),
    headers,
  }
}

/** `brooklet produce TOPIC`: the value from the arguments, or a record per line of standard input. */
export const produceCommand = (): Command =>
  addClusterOption(
    new Command('produce')
      .description('write records to a topic')
      .argument('<topic>')
      .argument('[value]', 'default: lines of standard input'),
  )
    .option('-k, --key <key>', 'key of the records')
    .option('-K, --key-separator <text>', 'each line is key, this, value')
    .option('-H, --header <name=value>', 'header; may be repeated', header, [])
    .option('-p, --partition <n>', 'partition (default: by the key)', partitionIndex)
    .addOption(
      new Option('-z, --compression <codec>', 'of the batches')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .action((topic: string, value: string | undefined, flags: ProduceFlags) =>
      withCluster(flags, async cluster => {
        const producer = new Producer(cluster, { compression: flags.compression, timeoutMs })
        let stored = 0
        const send = async (lines: readonly string[]): Promise<void> => {
          if (lines.length === 0) return
          await producer.send(
            topic,
            lines.map(line => toRecord(line, flags)),
            flags.partition,
          )
          stored += lines.length
        }
        if (value !== undefined) await send([value])
        else await eachBatchOfLines(send)
        if (host.stderrIsTerminal) process.stderr.write(`${stored} stored in ${topic}\n`)
      }),
    )

/** Lines that are at hand together go in one batch; a slow typist's line goes at once. */
const eachBatchOfLines = async (send: (lines: readonly string[]) => Promise<void>): Promise<void> => {
  let lines: string[] = []
  let sending = Promise.resolve()
  const flush = (): void => {
    const batch = lines
    lines = []
    sending = sending.then(() => send(batch))
  }
  const reader = createInterface({ input: process.stdin })
  const failed = new Promise<never>((_, reject) => {
    reader.on('line', line => {
      lines.push(line)
      if (lines.length === 1) nodeClock.afterIo(flush)
      else if (lines.length >= batchRecords) flush()
      sending.catch(reject)
    })
  })
  await Promise.race([new Promise(resolve => reader.once('close', resolve)), failed])
  flush()
  await sending
}
