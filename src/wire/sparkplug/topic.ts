/** What edge nodes and host applications tell each other (Sparkplug 3.0, section 4). */
const sparkplugTypes = ['NBIRTH', 'NDEATH', 'DBIRTH', 'DDEATH', 'NDATA', 'DDATA', 'NCMD', 'DCMD'] as const
export type SparkplugType = (typeof sparkplugTypes)[number]

/** `spBv1.0/{group}/{type}/{edge node}[/{device}]` */
export interface SparkplugTopic {
  readonly type: SparkplugType
  readonly group: string
  readonly edge: string
  /** Types that begin with D have one, the others do not. */
  readonly device: string | undefined
}

const namespace = 'spBv1.0'
const isType = (text: string | undefined): text is SparkplugType => sparkplugTypes.some(type => type === text)

/** Undefined: it is no topic of an edge node. */
export function parseSparkplugTopic(topic: string): SparkplugTopic | undefined {
  const [first, group, type, edge, device, ...rest] = topic.split('/')
  if (first !== namespace || !isType(type) || rest.length > 0) return undefined
  const isOfDevice = type.startsWith('D')
  if (!group || !edge || isOfDevice === !device) return undefined
  return { type, group, edge, device: isOfDevice ? device : undefined }
}

/** Where commands for the edge node go. */
export const commandTopic = ({ group, edge }: Pick<SparkplugTopic, 'group' | 'edge'>): string =>
  `${namespace}/${group}/NCMD/${edge}`

/** Where a host application says whether it is there. */
export const stateTopic = (hostId: string): string => `${namespace}/STATE/${hostId}`
