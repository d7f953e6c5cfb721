/** The device profiles that come with Brooklet. Adding one is a file here and a line below. */
import { door } from './door.ts'
import { env } from './env.ts'
import { gps } from './gps.ts'
import { power } from './power.ts'
import type { DeviceProfile } from './profile.ts'
import { soil } from './soil.ts'
import { vibration } from './vibration.ts'

export { decodePayload, encodePayload } from './payload.ts'
export type { DeviceProfile, Encoding, Reading, Sensor, SensorValue } from './profile.ts'
export { checkReading, payloadSchema } from './reading.ts'
export { fillTopic, matchTopic } from './topic.ts'

export const profiles: readonly DeviceProfile[] = [env, power, vibration, gps, door, soil]

/** The profile of that name, or undefined. */
export const profileNamed = (name: string): DeviceProfile | undefined => profiles.find(profile => profile.name === name)
