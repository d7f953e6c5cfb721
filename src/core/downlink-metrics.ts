/** Rows of the table of metrics about the way down from the central cluster. */
export const downlinkMetrics = {
  downlinkRecords: {
    name: 'downlink_records_total',
    type: 'counter',
    label: 'topic',
    help: 'Records of the central cluster that were taken into a topic here',
  },
  downlinkExpired: {
    name: 'downlink_expired_records_total',
    type: 'counter',
    label: 'topic',
    help: 'Records of the central cluster for this gateway that were too old when they came',
  },
  downlinkRefused: {
    name: 'downlink_refused_records_total',
    type: 'counter',
    label: 'topic',
    help: 'Records of the central cluster for this gateway that were too large to be stored',
  },
  downlinkLost: {
    name: 'downlink_lost_offsets_total',
    type: 'counter',
    label: 'topic',
    help: 'Offsets that the central cluster no longer had when they were to come down',
  },
  downlinkInterruptions: {
    name: 'downlink_interruptions_total',
    type: 'counter',
    help: 'Attempts to read from the central cluster that an error ended',
  },
  downlinkLag: {
    name: 'downlink_lag_offsets',
    type: 'gauge',
    help: 'Offsets of the central cluster that were not read yet, as far as it is known',
  },
  deviceDeliveries: {
    name: 'device_deliveries_total',
    type: 'counter',
    label: 'result',
    help: 'Records of deliver rules with `ack: device` that came to their end',
  },
  devicePending: {
    name: 'device_deliveries_pending',
    type: 'gauge',
    help: 'Records of deliver rules with `ack: device` that wait for their devices',
  },
} as const
