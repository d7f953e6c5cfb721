import { acknowledgements } from './acknowledgements.ts'
import { connack } from './connack.ts'
import { connect } from './connect.ts'
import { dataFormat } from './data-format.ts'
import { disconnect } from './disconnect.ts'
import { operation } from './operation.ts'
import { publish } from './publish.ts'
import type { Statement } from './statement.ts'
import { subscribe } from './subscribe.ts'
import { webSocket } from './web-socket.ts'

/** Every normative statement of MQTT 5 (appendix B of the specification), in its order. */
export const statements: readonly Statement[] = [
  ...dataFormat,
  ...connect,
  ...connack,
  ...publish,
  ...acknowledgements,
  ...subscribe,
  ...disconnect,
  ...operation,
  ...webSocket,
]
