import type { Metrics } from '../core/metrics.ts'

/** What went over all connections since the start. Plain numbers: they change with every packet. */
export class Traffic {
  /** Accepted sockets, whatever came of them. */
  sockets = 0
  /** Accepted CONNECT packets. */
  connects = 0
  /** The most clients that were connected at a time. */
  mostConnected = 0
  bytesReceived = 0
  bytesSent = 0
  /** Of all types. */
  packetsReceived = 0
  packetsSent = 0
  publishesSent = 0
  payloadBytesReceived = 0
  payloadBytesSent = 0

  constructor(metrics: Metrics) {
    metrics.sample('mqttBytesIn', () => this.bytesReceived)
    metrics.sample('mqttBytesOut', () => this.bytesSent)
    metrics.sample('mqttPacketsIn', () => this.packetsReceived)
    metrics.sample('mqttPacketsOut', () => this.packetsSent)
    metrics.sample('mqttSent', () => this.publishesSent)
  }

  /** A CONNECT was accepted; `present` clients are connected now. */
  connected(present: number): void {
    this.connects++
    this.mostConnected = Math.max(this.mostConnected, present)
  }
}
