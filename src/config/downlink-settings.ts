import { type DownlinkRule, downlink } from './downlink.ts'
import { row } from './setting-row.ts'

const noRules: readonly DownlinkRule[] = []

/** Rows of the settings table about the way down from the central cluster. */
export const downlinkSettings = {
  downlink: row(downlink, noRules, 'From topics of the central cluster to topics here, each record once', {
    docs:
      'Rules such as `{ topic: commands, key: "{gateway}/*", to: commands, ttl: 1h }`; of those for one topic the first that fits a record takes it. ' +
      '`key`: what the key must be, one `*` for any characters, which are then the key here. `header`: headers that the record must have. ' +
      '`to`: the topic here, made when it is missing; without it the same name. `ttl`: age beyond which a record is not taken, nor delivered. ' +
      '`priority`, `high`, `normal` (when absent) or `low`: while several topics have a backlog the higher ones come first. `from`, `latest` (when absent) or `earliest`: where reading ' +
      'begins when the gateway first sees the topic; one that was missing when it looked is read from its start. `report`: a topic that is told of records which were not taken.',
  }),
} as const
