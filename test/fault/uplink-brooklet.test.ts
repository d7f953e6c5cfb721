import { test } from 'vitest'
import { FaultProxy } from '../support/fault-proxy.ts'
import { freePorts } from '../support/free-ports.ts'
import { Gateway } from '../support/gateway.ts'
import { describeUplink } from '../support/uplink-contract.ts'

// the same cases as against Apache Kafka, with another Brooklet as the central cluster: no Java, no transactions

const startBrooklet = async () => {
  const link = await FaultProxy.start(0)
  const [gatewaysPort, testsPort] = await freePorts(2)
  const hub = await Gateway.start({
    keepsAddresses: true,
    settings: {
      'kafka.listen': `plaintext://127.0.0.1:${gatewaysPort},plaintext://127.0.0.1:${testsPort}`,
      'kafka.advertised': `plaintext://${link.address},plaintext://127.0.0.1:${testsPort}`,
      'auto.create.topics.enable': 'false',
    },
  })
  link.targetPort = gatewaysPort!
  return {
    link,
    bootstrap: `127.0.0.1:${testsPort}`,
    restart: async () => {
      await hub.kill()
      await hub.restart()
    },
    close: async () => {
      await hub.dispose()
      await link.close()
    },
  }
}

describeUplink(startBrooklet, test)
