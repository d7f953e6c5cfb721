/** A command could not do what it was asked; one line for the user, exit code 1. */
export class CommandFailed extends Error {
  override name = 'CommandFailed'
}
