/**
 * Cases that fail today, by suite. A case listed here must fail, so that what is mended
 * leaves the list with the change that mends it.
 */
export const knownFailures: Readonly<
  Record<'paho 3.1.1' | 'paho 5.0' | 'MQTT 5 statements' | 'MQTT 3.1.1 twins' | 'MQTT 5 twins', readonly string[]>
> = {
  'paho 3.1.1': [],
  'paho 5.0': [],
  'MQTT 5 statements': [],
  'MQTT 3.1.1 twins': [],
  'MQTT 5 twins': [],
}
