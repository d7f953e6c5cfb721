import type { UplinkControls } from '../broker/uplink-summary.ts'
import { homePage } from './home-page.ts'
import { openApiDescription } from './openapi.ts'
import type { GatewayStatus } from './status.ts'

export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  /** With status 405: what is allowed. */
  readonly allow?: string
}

/** Placeholders of the path and parameters of the query, decoded. */
export interface Arguments {
  readonly path: Readonly<Record<string, string>>
  readonly query: URLSearchParams
}

export interface Endpoint {
  /** `POST` where it changes something; such a one answers only requests that no page in a browser can make (`router.ts`). */
  readonly method: 'GET' | 'POST'
  /** `{name}` stands for one segment. */
  readonly path: string
  readonly summary: string
  readonly contentType: string
  /** Required query parameters: name and what it is. */
  readonly query?: Readonly<Record<string, string>>
  readonly answer: (status: GatewayStatus, args: Arguments) => Answer | Promise<Answer>
}

export const JSON_TYPE = 'application/json'
const TEXT_TYPE = 'text/plain; charset=utf-8'
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
const HTML_TYPE = 'text/html; charset=utf-8'

const jsonAnswer = (status: number, value: unknown): Answer => ({
  status,
  contentType: JSON_TYPE,
  body: `${JSON.stringify(value, undefined, 2)}\n`,
})

/** The one form of every error: `{"error": "one line that says what to do"}`. */
export const errorAnswer = (status: number, error: string): Answer => jsonAnswer(status, { error })

const json = (
  path: string,
  summary: string,
  read: (status: GatewayStatus, args: Arguments) => unknown,
  missing = '',
): Endpoint => ({
  method: 'GET',
  path,
  summary,
  contentType: JSON_TYPE,
  answer: async (status, args) => {
    const value = await read(status, args)
    return value === undefined ? errorAnswer(404, missing) : jsonAnswer(200, value)
  },
})

const noDownlink = 'there is no downlink: set downlink'
const noUplink = 'there is no uplink: set uplink.bootstrap.servers'

/** Steers the uplink and answers what `/api/v1/uplink` answers. */
const uplinkCommand = (path: string, summary: string, run: (controls: UplinkControls) => Promise<void>): Endpoint => ({
  method: 'POST',
  path,
  summary,
  contentType: JSON_TYPE,
  answer: async status => {
    const controls = status.uplinkControls()
    if (controls === undefined) return errorAnswer(404, noUplink)
    await run(controls)
    return jsonAnswer(200, await status.uplink())
  },
})

/** Everything that is served. Router, OpenAPI description and the page at `/` are made from this table. */
export const endpoints: readonly Endpoint[] = [
  {
    method: 'GET',
    path: '/',
    summary: 'This page',
    contentType: HTML_TYPE,
    answer: status => ({ status: 200, contentType: HTML_TYPE, body: homePage(status.gateway(), endpoints) }),
  },
  {
    method: 'GET',
    path: '/healthz',
    summary: 'The process lives',
    contentType: TEXT_TYPE,
    answer: () => ({ status: 200, contentType: TEXT_TYPE, body: 'ok\n' }),
  },
  {
    method: 'GET',
    path: '/readyz',
    summary: 'Serving and able to write; status 503 and the reason otherwise',
    contentType: JSON_TYPE,
    answer: status => {
      const readiness = status.readiness()
      return jsonAnswer(readiness.ready ? 200 : 503, readiness)
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics in the text format of Prometheus',
    contentType: METRICS_TYPE,
    answer: status => ({ status: 200, contentType: METRICS_TYPE, body: status.metricsText() }),
  },
  json('/api/v1/openapi.json', 'Description of this API (OpenAPI 3.1)', status =>
    openApiDescription(endpoints, status.gateway().version),
  ),
  json('/api/v1/gateway', 'Identity, listeners, memory, disk, gaps, wear and clock', status => status.gateway()),
  json('/api/v1/topics', 'All topics', status => status.topics()),
  json(
    '/api/v1/topics/{name}',
    'Partitions, offsets, sizes and configs of a topic',
    (status, args) => status.topic(args.path['name'] ?? ''),
    'there is no such topic; GET /api/v1/topics lists them',
  ),
  json('/api/v1/groups', 'All consumer groups', status => status.groups()),
  json(
    '/api/v1/groups/{id}',
    'Members, committed offsets and lag of a consumer group',
    (status, args) => status.group(args.path['id'] ?? ''),
    'there is no such consumer group; GET /api/v1/groups lists them',
  ),
  json('/api/v1/clients', 'Connected MQTT clients', status => status.clients()),
  json(
    '/api/v1/gaps',
    'Records that retention, the disk budget or damage took before every consumer group had read them, and those skipped on the way up',
    status => status.gaps(),
  ),
  json('/api/v1/uplink', 'What the central cluster has, what waits, and why', status => status.uplink(), noUplink),
  {
    ...json(
      '/api/v1/uplink/offsets',
      'Where offsets of a topic stand in the central cluster',
      (status, { query }) => status.uplinkOffsets(query.get('topic') ?? ''),
      'the topic does not go up; GET /api/v1/uplink lists those that do',
    ),
    query: { topic: 'topic' },
  },
  json(
    '/api/v1/downlink',
    'How far topics of the central cluster were read, and what became of their records',
    status => status.downlink(),
    noDownlink,
  ),
  {
    method: 'POST',
    path: '/api/v1/downlink/skip',
    summary: 'Give up what cannot be read of a topic of the central cluster: it never comes down',
    contentType: JSON_TYPE,
    query: { topic: 'topic there', partition: 'partition', first: 'first offset', last: 'last offset' },
    answer: async (status, { query }) => {
      const number = (name: string): number => Number(query.get(name))
      const controls = status.downlinkControls()
      if (controls === undefined) return errorAnswer(404, noDownlink)
      const skip = { topic: query.get('topic') ?? '', partition: number('partition') }
      const fault = await controls.skip({ ...skip, first: number('first'), last: number('last') })
      return fault === undefined ? jsonAnswer(200, status.downlink()) : errorAnswer(409, fault)
    },
  },
  uplinkCommand('/api/v1/uplink/pause', 'Send nothing up until it is resumed, also after restarts', controls =>
    controls.pause(),
  ),
  uplinkCommand('/api/v1/uplink/resume', 'Go on after a pause', controls => controls.resume()),
  {
    method: 'POST',
    path: '/api/v1/uplink/skip',
    summary: 'Give up the batch that the central cluster refuses: it never goes up',
    contentType: JSON_TYPE,
    query: { topic: 'topic', partition: 'partition', first: 'first offset', last: 'last offset' },
    answer: async (status, { query }) => {
      const number = (name: string): number => Number(query.get(name))
      const controls = status.uplinkControls()
      if (controls === undefined) return errorAnswer(404, noUplink)
      const skip = { topic: query.get('topic') ?? '', partition: number('partition') }
      const fault = await controls.skip({ ...skip, first: number('first'), last: number('last') })
      return fault === undefined ? jsonAnswer(200, await status.uplink()) : errorAnswer(409, fault)
    },
  },
  {
    method: 'POST',
    path: '/api/v1/audit',
    summary: 'What became of every record, compared with what the central cluster says',
    contentType: JSON_TYPE,
    answer: async status => jsonAnswer(200, await status.audit()),
  },
  {
    method: 'POST',
    path: '/api/v1/audit/deep',
    summary: 'Begin an audit that also reads back what stands upstream; it ends when nobody asks for its state',
    contentType: JSON_TYPE,
    answer: status => jsonAnswer(200, status.deepAudit({ begin: true })),
  },
  json('/api/v1/audit/deep/state', 'How far that audit is, and what it has found', status =>
    status.deepAudit({ begin: false }),
  ),
  {
    method: 'POST',
    path: '/api/v1/audit/acknowledge',
    summary: 'The audit is to list this loss as known: no reason for it will be found',
    contentType: JSON_TYPE,
    query: {
      topic: 'topic',
      partition: 'partition',
      loss: 'name of the loss',
      records: 'records lost',
      by: 'who knows',
    },
    answer: async (status, { query }) => {
      const text = (name: string): string => query.get(name) ?? ''
      const controls = status.uplinkControls()
      if (controls === undefined) return errorAnswer(404, noUplink)
      const loss = { topic: text('topic'), partition: Number(text('partition')), loss: text('loss') }
      const fault = await controls.acknowledge({ ...loss, records: Number(text('records')), by: text('by') })
      return fault === undefined ? jsonAnswer(200, loss) : errorAnswer(409, fault)
    },
  },
  json('/api/v1/settings', 'Settings in force and where each comes from', status => status.settings()),
  {
    ...json('/api/v1/routes', 'Where a publish to an MQTT topic would go', (status, args) =>
      status.route(args.query.get('topic') ?? ''),
    ),
    query: { topic: 'MQTT topic' },
  },
]
