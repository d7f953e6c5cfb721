import type { Cluster } from '../../src/client/cluster.ts'
import { checkCode } from '../../src/client/kafka-error.ts'
import { defineApi } from '../../src/wire/kafka/api.ts'
import { array, int8, int16, int32, nullableString, string, struct } from '../../src/wire/kafka/fields.ts'

const createAcls = defineApi({
  key: 30,
  name: 'CreateAcls',
  versions: [1, 3],
  flexible: 2,
  request: {
    creations: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        resourcePatternType: int8(),
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      }),
    ),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: array(struct({ errorCode: int16(), errorMessage: nullableString() })),
  },
})

const deleteAcls = defineApi({
  key: 31,
  name: 'DeleteAcls',
  versions: [1, 3],
  flexible: 2,
  request: {
    filters: array(
      struct({
        resourceTypeFilter: int8(),
        resourceNameFilter: nullableString(),
        patternTypeFilter: int8(),
        principalFilter: nullableString(),
        hostFilter: nullableString(),
        operation: int8(),
        permissionType: int8(),
      }),
    ),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    filterResults: array(
      struct({
        errorCode: int16(),
        errorMessage: nullableString(),
        matchingAcls: array(
          struct({
            errorCode: int16(),
            errorMessage: nullableString(),
            resourceType: int8(),
            resourceName: string(),
            patternType: int8(),
            principal: string(),
            host: string(),
            operation: int8(),
            permissionType: int8(),
          }),
        ),
      }),
    ),
  },
})

const resourceTypes = { topic: 2, transactionalId: 5 } as const
const operations = { all: 2, read: 3, write: 4 } as const
const permissions = { denied: 2, allowed: 3 } as const
const any = 1
const literal = 3

/** A right to one topic or one transactional id, given to everybody or taken from them. Super users are asked for none. */
export interface Acl {
  readonly resource: keyof typeof resourceTypes
  readonly name: string
  readonly operation: keyof typeof operations
  readonly permission: keyof typeof permissions
}

/** Holds for all requests from now on. */
export const addAcls = async (cluster: Cluster, acls: readonly Acl[]): Promise<void> => {
  const creations = acls.map(({ resource, name, operation, permission }) => ({
    resourceType: resourceTypes[resource],
    resourceName: name,
    resourcePatternType: literal,
    principal: 'User:*',
    host: '*',
    operation: operations[operation],
    permissionType: permissions[permission],
  }))
  const { results } = await (await cluster.any()).request(createAcls, { creations })
  for (const { errorCode, errorMessage } of results) checkCode(errorCode, 'create acl', errorMessage)
}

/** Takes back all that was said of the resource. */
export const removeAcls = async (
  cluster: Cluster,
  { resource, name }: Pick<Acl, 'resource' | 'name'>,
): Promise<void> => {
  const everybody = { principalFilter: null, hostFilter: null, operation: any, permissionType: any }
  const named = { resourceTypeFilter: resourceTypes[resource], resourceNameFilter: name, patternTypeFilter: literal }
  const { filterResults } = await (await cluster.any()).request(deleteAcls, { filters: [{ ...named, ...everybody }] })
  for (const { errorCode, errorMessage } of filterResults) checkCode(errorCode, 'delete acl', errorMessage)
}
