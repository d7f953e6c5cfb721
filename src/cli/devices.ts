import { Command } from 'commander'
import type { MqttClient } from '../http/status.ts'
import { ageText } from './age-text.ts'
import { HttpClient } from './http-client.ts'
import { printList } from './table.ts'

interface DevicesFlags {
  readonly http: string
  readonly json?: boolean
}

/** As MQTT numbers its versions in CONNECT. */
const versionNames: Readonly<Record<number, string>> = { 3: '3.1', 4: '3.1.1', 5: '5.0' }

const columns: Readonly<Record<string, (client: MqttClient) => string | number>> = {
  CLIENT: client => client.clientId,
  ADDRESS: client => client.address,
  MQTT: client => versionNames[client.protocolVersion] ?? String(client.protocolVersion),
  CONNECTED: client => ageText(client.connectedMs / 1000),
  SUBSCRIPTIONS: client => client.subscriptions,
}

const list = async ({ http, json }: DevicesFlags): Promise<void> => {
  const clients = await new HttpClient(http).get<MqttClient[]>('/api/v1/clients')
  printList(
    clients.sort((a, b) => (a.clientId < b.clientId ? -1 : 1)),
    columns,
    json,
  )
}

/** `brooklet devices`: who is connected over MQTT. */
export const devicesCommand = (): Command =>
  new Command('devices')
    .description('MQTT clients that are connected')
    .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')
    .option('--json', 'print JSON')
    .action(list)
