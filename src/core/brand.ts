declare const brand: unique symbol

/** A number that the compiler does not mix up with others: a partition id is not an offset. */
export type Brand<Name extends string> = number & { readonly [brand]: Name }

/** Names one partition in the commit log for ever; never reused, also not after the topic is deleted. */
export type PartitionId = Brand<'PartitionId'>

/** Number of a group in the chain of the commit log; rises by one, never reused. */
export type GroupNumber = Brand<'GroupNumber'>

export const partitionId = (value: number): PartitionId => value as PartitionId
export const groupNumber = (value: number): GroupNumber => value as GroupNumber
