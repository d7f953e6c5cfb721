/** Names of topics as settings take them: `*` stands for any characters. */
export const topicPatternSyntax = /^[A-Za-z0-9._*-]{1,249}$/

/** Matches whole names: `*` stands for any characters, everything else for itself. */
export const topicPattern = (pattern: string): RegExp => new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`)

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
