/** The names that a topic template gives to its levels, and their values. */
export type TopicParts = Readonly<Record<string, string>>

/** Replaces each `{name}` of a template. A name without a value stays as it is. */
export const fillTopic = (template: string, parts: TopicParts): string =>
  template.replace(/\{(\w+)\}/g, (whole, name: string) => parts[name] ?? whole)

/** The parts of an MQTT topic that a template describes level by level, or undefined where it does not fit. */
export const matchTopic = (template: string, topic: string): TopicParts | undefined => {
  const levels = topic.split('/')
  const wanted = template.split('/')
  if (levels.length !== wanted.length) return undefined
  const parts: Record<string, string> = {}
  for (const [index, level] of wanted.entries()) {
    const actual = levels[index] ?? ''
    if (level.startsWith('{') && level.endsWith('}')) parts[level.slice(1, -1)] = actual
    else if (level !== actual) return undefined
  }
  return parts
}
