/** Simulated devices on real MQTT: what the demo, the command `sim` and the tests use. */
export { profileNamed, profiles } from '../devices/index.ts'
export type { Comparison, Receipt } from './comparison.ts'
export type { DeviceEntry, LedgerCounts } from './device-ledger.ts'
export { type FleetOptions, type Progress, runFleet } from './fleet.ts'
export { Ledger, type LedgerFile } from './ledger.ts'
export { ledgerTable } from './ledger-table.ts'
export { receiptOf } from './receipt.ts'
export { type Scenario, scenarioNamed, scenarios, steady, type TimedFault, withFaults } from './scenario.ts'
