/** The way down from the central cluster, and on to devices, as `downlink status` and the HTTP API show it. */
export interface DownlinkSummary {
  /** What went wrong last; null while all goes well. */
  readonly error: string | null
  /** Why the central cluster is not told what has come down, which a restored log would ask it for; null: it is. */
  readonly takenError: string | null
  /** Of the topics of the central cluster that the rules name, in the order of their names. */
  readonly topics: readonly DownlinkTopic[]
  /** Deliver rules that wait for devices, partition by partition. */
  readonly deliveries: readonly DeviceDeliverySummary[]
  /** Deliver rules that are gone from the settings, and of which something waits. */
  readonly formerRules: readonly FormerRule[]
  /** Topics for reports that do not go up. */
  readonly stayingReports: readonly StayingReports[]
}

export interface StayingReports {
  /** Topic here that is told what became of commands. */
  readonly topic: string
  /** Why nobody in the central cluster hears of it. */
  readonly reason: string
}

/** What of a central partition is to be given up. */
export interface DownlinkSkip {
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly last: number
}

/** What an operator does about the downlink. */
export interface DownlinkControls {
  /** Undefined: done; otherwise why not. */
  skip(skip: DownlinkSkip): Promise<string | undefined>
}

export interface FormerRule {
  /** What it is known by: its topic, and its name if it had one. */
  readonly rule: string
  /** Records that no device has. */
  readonly pending: number
  /** Then nothing of it is kept any more. */
  readonly droppedInSeconds: number
}

export interface DeviceDeliverySummary {
  /** Name of the topic here. */
  readonly topic: string
  readonly partition: number
  /** MQTT topics of the rule. */
  readonly mqtt: string
  /** Records that wait for their devices. */
  readonly pending: number
  /** MQTT topics that they are for. */
  readonly pendingTopics: number
}

export interface DownlinkTopic {
  /** Its name in the central cluster. */
  readonly topic: string
  /** `high`, `normal` or `low`. */
  readonly priority: string
  /** Why it could not be looked at; null: it could. */
  readonly error: string | null
  /** Empty until it was seen. */
  readonly partitions: readonly DownlinkPartition[]
}

export interface DownlinkPartition {
  readonly partition: number
  /** All below was read, and what of it is for this gateway is in its log. */
  readonly centralOffset: number
  /** Where the partition ends; null before the first answer. */
  readonly centralEnd: number | null
  readonly lagOffsets: number | null
  /** Records that were taken, and those for this gateway that were not, since the topic was made. */
  readonly taken: number
  readonly expired: number
  readonly refused: number
  /** Offsets that were gone before they were read. */
  readonly lost: number
  /** Why nothing comes from it at present; null: nothing is known against it. */
  readonly error: string | null
  /** Offsets of what cannot be read, which `downlink skip` gives up; null: nothing is known. */
  readonly unreadable: { readonly first: number; readonly last: number } | null
  readonly retryInMs: number | null
}
