import { Command, Option } from 'commander'
import { Producer } from '../client/producer.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import type { NewRecord } from '../wire/kafka/batch-encoding.ts'
import type { CodecName } from '../wire/kafka/compression/codecs.ts'
import { addClusterOption, type ClusterFlags, withCluster } from './cluster-option.ts'
import { LineSplitter } from './lines.ts'
import { assignment, maxPartitions, oneOfWords, wholeNumber } from './option-values.ts'

interface ProduceFlags extends ClusterFlags {
  readonly key?: string
  readonly keySeparator?: string
  readonly header?: readonly (readonly [string, string])[]
  readonly partition?: number
  readonly compression: CodecName
}

const storeTimeoutMs = 10_000
const deliveryTimeoutMs = 60_000

const codecs: readonly CodecName[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

const toRecord = (line: Buffer, { key, keySeparator, header = [] }: ProduceFlags): NewRecord => {
  const headers = header.map(([name, text]) => ({ key: name, value: Buffer.from(text) }))
  const at = keySeparator === undefined ? -1 : line.indexOf(keySeparator)
  const common = { timestampMs: nodeClock.wallMs(), headers }
  if (at < 0) return { ...common, key: key === undefined ? null : Buffer.from(key), value: line }
  return { ...common, key: line.subarray(0, at), value: line.subarray(at + Buffer.byteLength(keySeparator!)) }
}

/** Sends what standard input gives together; reads on when that is stored. */
const sendLines = async (send: (lines: readonly Buffer[]) => Promise<void>): Promise<void> => {
  if (process.stdin.isTTY) process.stderr.write('a record per line; Ctrl-D ends\n')
  const splitter = new LineSplitter()
  for await (const chunk of process.stdin) await send(splitter.push(chunk as Buffer))
  await send(splitter.finish())
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
    .option('-H, --header <name=value>', 'header; may be repeated', assignment('site=north'))
    .option('-p, --partition <n>', 'partition (default: by the key)', wholeNumber(0, maxPartitions - 1))
    .addOption(
      new Option('-z, --compression <codec>', `of the batches: ${codecs.join(', ')}`)
        .argParser(oneOfWords(codecs))
        .default('none', 'none'),
    )
    .action((topic: string, value: string | undefined, flags: ProduceFlags) =>
      withCluster(flags, async cluster => {
        const producer = new Producer(cluster, {
          compression: flags.compression,
          timeoutMs: storeTimeoutMs,
          deliveryTimeoutMs,
        })
        let stored = 0
        const send = async (lines: readonly Buffer[]): Promise<void> => {
          if (lines.length === 0) return
          const records = lines.map(line => toRecord(line, flags))
          await producer.send(topic, records, flags.partition)
          stored += lines.length
        }
        try {
          if (value !== undefined) await send([Buffer.from(value)])
          else await sendLines(send)
        } catch (error) {
          if (stored > 0) process.stderr.write(`${stored} stored in ${topic}, the next ones are not or in part\n`)
          throw error
        }
        if (host.stderrIsTerminal) process.stderr.write(`${stored} stored in ${topic}\n`)
      }),
    )
