/** Rows of the table of metrics about reads below the local log start (`remote.read`). */
export const remoteMetrics = {
  remoteReads: {
    name: 'remote_reads_total',
    type: 'counter',
    help: 'Fetches from the central cluster for reads below the local log start',
  },
  remoteReadBytes: {
    name: 'remote_read_bytes_total',
    type: 'counter',
    help: 'Bytes that these fetches brought, records of other writers included',
  },
  remoteReadErrors: {
    name: 'remote_read_errors_total',
    type: 'counter',
    help: 'Fetches and lookups in the central cluster that failed; uplink status says why',
  },
  remoteReadHeldBytes: {
    name: 'remote_read_held_bytes',
    type: 'gauge',
    help: 'Memory of what was read from the central cluster ahead of consumers',
  },
} as const
