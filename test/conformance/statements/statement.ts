import type { Settings } from '../../../src/config/settings.ts'
import type { Stage } from '../stage.ts'

/** A normative statement of MQTT 5 in our words, with the exchange that shows it, or why a broker cannot be tested for it. */
export type Statement = {
  /** As in `[MQTT-3.1.0-1]`. */
  readonly id: string
  readonly says: string
} & ({ readonly settings?: Partial<Settings>; test(stage: Stage): Promise<void> } | { readonly untestable: string })

export const ofClients = 'it binds clients, and a broker cannot see whether they obey'
export const ofLesserBrokers = 'it binds brokers that lack something; this one has it'
