// Packets of MQTT 3.1.1 that the loads of the benches send, and a socket that has been accepted with one.
import { createConnection } from 'node:net'

const variableLength = value => (value < 128 ? [value] : [(value & 127) | 128, value >> 7])
const text = value => [value.length >> 8, value.length & 255, ...Buffer.from(value)]
const packet = (type, body) => Buffer.concat([Buffer.from([type, ...variableLength(body.length)]), body])

export const connectFrame = clientId => packet(0x10, Buffer.from([...text('MQTT'), 4, 2, 0, 0, ...text(clientId)]))

/** One filter, packet id 1. */
export const subscribeFrame = (filter, qos) => packet(0x82, Buffer.from([0, 1, ...text(filter), qos]))

/** The same. */
export const unsubscribeFrame = filter => packet(0xa2, Buffer.from([0, 1, ...text(filter)]))

/** `packetId` is left out with QoS 0. */
export const publishFrame = (topic, qos, packetId, payload) => {
  const id = qos === 0 ? [] : [packetId >> 8, packetId & 255]
  return packet(0x30 | (qos << 1), Buffer.concat([Buffer.from([...text(topic), ...id]), payload]))
}

/** PUBACK of each packet id. */
export const pubackFrames = packetIds => {
  const frames = Buffer.allocUnsafe(4 * packetIds.length)
  for (const [index, id] of packetIds.entries()) frames.writeUInt32BE(((0x4002 << 16) | id) >>> 0, 4 * index)
  return frames
}

const connackBytes = 4
const subackBytes = 5

/**
 * Connects, subscribes where a filter is given, and resolves with the socket; from then on `onBytes(socket, chunk)` gets what comes. Rejects when the broker
 * refuses or closes.
 */
export const openClient = ({ port, clientId, filter, qos = 0, localAddress }, onBytes) =>
  new Promise((resolve, reject) => {
    const wanted = connackBytes + (filter === undefined ? 0 : subackBytes)
    let begun = Buffer.alloc(0)
    const begin = chunk => {
      begun = Buffer.concat([begun, chunk])
      if (begun.length < wanted) return
      if (begun[0] !== 0x20 || begun[3] !== 0 || (begun[wanted - 1] & 0x80) !== 0) {
        reject(new Error(`${clientId} was refused: ${begun.toString('hex')}`))
        return
      }
      take = bytes => onBytes(socket, bytes)
      socket.off('close', lost)
      resolve(socket)
      if (begun.length > wanted) take(begun.subarray(wanted))
    }
    let take = begin
    const lost = () => reject(new Error(`${clientId} was disconnected`))
    // reads into one buffer, past the stream machinery
    const callback = (length, buffer) => {
      take(buffer.subarray(0, length))
      return true
    }
    const onread = { buffer: onBytes.buffer ?? Buffer.alloc(64 * 1024), callback }
    const socket = createConnection({ host: '127.0.0.1', port, localAddress, noDelay: true, onread })
    socket.on('error', reject).once('close', lost)
    socket.once('connect', () => {
      socket.write(connectFrame(clientId))
      if (filter !== undefined) socket.write(subscribeFrame(filter, qos))
    })
  })
