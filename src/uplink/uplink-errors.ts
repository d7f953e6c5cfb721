/** Nothing goes up until somebody acts; the text says what helps. It is looked at again after long pauses. */
export class UplinkStopped extends Error {
  override name = 'UplinkStopped'
}

/** This log must not send any more: another one has sent in its name. */
export class UplinkFenced extends Error {
  override name = 'UplinkFenced'
}
