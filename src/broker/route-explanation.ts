/** What becomes of a publish to an MQTT topic: the answer of `routes test` and of the HTTP API. */
export interface RouteExplanation {
  readonly mqttTopic: string
  /** The pattern of the configured route that wins, `default route`, or why nothing is stored. */
  readonly rule: string
  readonly stored: boolean
  /** Absent when it is not stored. */
  readonly topic?: string
  /** False: the first publish makes it. */
  readonly topicExists?: boolean
  /** Null: no key. */
  readonly key?: string | null
  /** Null: without a key, batch by batch. */
  readonly partition?: number | null
  readonly partitions?: number
  /** Those of the route; `mqtt.client` and others that depend on the publish come with them. */
  readonly headers?: Readonly<Record<string, string>>
  /** Other first levels that go to the same topic, as far as they were seen since the start. */
  readonly sharedWith?: readonly string[]
  readonly notes: readonly string[]
}
