/** Rows of the table of metrics about the way up to the central cluster. */
export const uplinkMetrics = {
  uplinkRounds: { name: 'uplink_rounds_total', type: 'counter', help: 'Transactions committed by the central cluster' },
  uplinkRecords: { name: 'uplink_records_total', type: 'counter', help: 'Records sent up and committed there' },
  uplinkBytes: {
    name: 'uplink_bytes_total',
    type: 'counter',
    help: 'Bytes of batches sent up and committed there, as they went over the link',
  },
  uplinkInterruptions: {
    name: 'uplink_interruptions_total',
    type: 'counter',
    help: 'Sessions with the central cluster that an error ended, and attempts that did not become one',
  },
  uplinkLag: { name: 'uplink_lag_records', type: 'gauge', help: 'Records that are durable here and not upstream' },
  uplinkDelay: {
    name: 'uplink_delay_seconds',
    type: 'histogram',
    help: 'How long records waited from their sync here until the central cluster had acknowledged their transaction; of what was stored before the start nobody knows',
    bounds: [
      0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600,
    ],
  },
  uplinkSkipped: {
    name: 'uplink_skipped_records_total',
    type: 'counter',
    help: 'Records that an operator gave up because the central cluster refuses them',
  },
  replicaWaiting: {
    name: 'replica_waiting_acks',
    type: 'gauge',
    help: 'Acknowledgements that wait until the central cluster has the records (min.insync.replicas=2)',
  },
  uplinkLeftOut: {
    name: 'uplink_left_out_records_total',
    type: 'counter',
    label: 'reason',
    help: 'Records that rules of the uplink left out: expired or thinned',
  },
  uplinkTailsLost: { name: 'uplink_tails_lost_total', type: 'counter', help: 'Tails gone before they were read back' },
  uplinkPaused: { name: 'uplink_paused', type: 'gauge', help: '1 while an operator has paused the uplink' },
  uplinkRefused: {
    name: 'uplink_refused_partitions',
    type: 'gauge',
    help: 'Partitions that the central cluster takes nothing from at present; uplink status says why',
  },
} as const
