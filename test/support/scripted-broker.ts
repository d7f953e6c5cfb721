import { createServer, type Server, type Socket } from 'node:net'
import {
  type AnyApi,
  decodeRequest,
  encodeResponse,
  type RequestOf,
  type ResponseInputOf,
} from '../../src/wire/kafka/api.ts'
import { apiVersions } from '../../src/wire/kafka/contracts/api-versions.ts'
import { metadata } from '../../src/wire/kafka/contracts/metadata.ts'
import { errorCodes } from '../../src/wire/kafka/error-codes.ts'
import { FrameSplitter } from '../../src/wire/kafka/frames.ts'
import { peekRequestHeader } from '../../src/wire/kafka/header.ts'

/** What becomes of a request: an answer, the end of the connection, or nothing ever. */
export type Reaction<A extends AnyApi> = ResponseInputOf<A> | 'close' | 'silence'

type Script<A extends AnyApi> = (body: RequestOf<A>, version: number) => Reaction<A> | Promise<Reaction<A>>

interface Served {
  readonly api: AnyApi
  readonly range: readonly [number, number]
  readonly script: Script<AnyApi>
}

/** A broker that does what a test says, request by request, on 127.0.0.1. It claims the versions that the test gives it. */
export class ScriptedBroker {
  readonly nodeId: number
  /** Names of the APIs asked, with the version, in order: `Produce v9`. */
  readonly asked: string[] = []
  connections = 0
  /** The newest version of ApiVersions that it knows. */
  apiVersionsMax = 4
  /** Answers come ten bytes at a time, so far apart; 0: at once. */
  trickleMs = 0
  readonly #served = new Map<number, Served>()
  readonly #held = new Map<string, Promise<void>>()
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  #port = 0

  static async start(nodeId = 0): Promise<ScriptedBroker> {
    const broker = new ScriptedBroker(nodeId)
    await new Promise<void>(resolve => broker.#server.listen(0, '127.0.0.1', resolve))
    const address = broker.#server.address()
    if (address !== null && typeof address !== 'string') broker.#port = address.port
    return broker
  }

  private constructor(nodeId: number) {
    this.nodeId = nodeId
    this.#server = createServer(socket => this.#accept(socket))
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.#port }
  }

  serve<A extends AnyApi>(api: A, script: Script<A>, range: readonly [number, number] = api.versions): void {
    this.#served.set(api.key, { api, range, script: script as unknown as Script<AnyApi> })
  }

  /** Metadata of topic `t`: its partitions are led by these nodes of `brokers`. */
  serveTopic(leaders: () => readonly number[], brokers: readonly ScriptedBroker[] = [this]): void {
    this.serve(metadata, ({ topics }) => ({
      brokers: brokers.map(({ nodeId, address }) => ({ nodeId, ...address, rack: null })),
      clusterId: 'c',
      controllerId: 0,
      topics: (topics ?? [{ name: 't' }]).map(({ name }) => ({
        errorCode: name === 't' ? 0 : errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
        name,
        topicId: '0'.repeat(31) + (name === 't' ? '1' : '0'),
        isInternal: false,
        partitions:
          name === 't'
            ? leaders().map((leaderId, partitionIndex) => ({
                errorCode: 0,
                partitionIndex,
                leaderId,
                leaderEpoch: 0,
                replicaNodes: [leaderId],
                isrNodes: [leaderId],
              }))
            : [],
      })),
    }))
  }

  /** Answers to this API wait until the function that it returns is called. */
  hold(name: string): () => void {
    let release = (): void => undefined
    this.#held.set(name, new Promise(resolve => (release = resolve)))
    return () => {
      this.#held.delete(name)
      release()
    }
  }

  /** Ends all connections; new ones are accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async stop(): Promise<void> {
    this.cut()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #accept(socket: Socket): void {
    this.connections++
    this.#sockets.add(socket)
    const splitter = new FrameSplitter(1 << 30)
    let answering = Promise.resolve()
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', chunk => {
      for (const frame of splitter.push(chunk)) answering = answering.then(() => this.#answer(socket, frame))
    })
  }

  async #answer(socket: Socket, frame: Buffer): Promise<void> {
    const { apiKey, apiVersion, correlationId } = peekRequestHeader(frame)
    const write = (api: AnyApi, version: number, body: ResponseInputOf<AnyApi>): void => {
      void this.#write(socket, Buffer.concat(encodeResponse(api, version, correlationId, body)))
    }
    if (apiKey === apiVersions.key) {
      this.asked.push(`ApiVersions v${apiVersion}`)
      const isKnown = apiVersion <= this.apiVersionsMax
      const errorCode = isKnown ? 0 : errorCodes.UNSUPPORTED_VERSION
      return write(apiVersions, isKnown ? apiVersion : 0, { errorCode, apiKeys: this.#ranges() })
    }
    const served = this.#served.get(apiKey)
    if (served === undefined) return void socket.destroy()
    this.asked.push(`${served.api.name} v${apiVersion}`)
    await this.#held.get(served.api.name)
    const reaction = await served.script(decodeRequest(served.api, frame).body as RequestOf<AnyApi>, apiVersion)
    if (reaction === 'close') socket.destroy()
    else if (reaction !== 'silence') write(served.api, apiVersion, reaction)
  }

  async #write(socket: Socket, bytes: Buffer): Promise<void> {
    const pieceBytes = this.trickleMs === 0 ? bytes.length : 10
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      socket.write(bytes.subarray(at, at + pieceBytes))
      if (this.trickleMs > 0) await new Promise(resolve => setTimeout(resolve, this.trickleMs))
    }
  }

  #ranges(): { apiKey: number; minVersion: number; maxVersion: number }[] {
    const own = { apiKey: apiVersions.key, minVersion: 0, maxVersion: this.apiVersionsMax }
    const others = [...this.#served.values()].map(({ api, range: [minVersion, maxVersion] }) => ({
      apiKey: api.key,
      minVersion,
      maxVersion,
    }))
    return [own, ...others]
  }
}
