import { expect, test } from 'vitest'
import { inFolder, type SourceFile, sourceFiles } from './source-files.ts'

/** The layers of `src`, and what each may import besides itself. Fronts stand in one line: none may import another. */
const fronts = ['mqtt', 'kafka', 'uplink', 'registry', 'rules', 'http']
const below: Record<string, readonly string[]> = {
  core: [],
  platform: ['core'],
  wire: ['core'],
  config: ['core', 'platform', 'wire'],
  storage: ['core', 'platform', 'wire'],
  state: ['core', 'platform', 'wire', 'config', 'storage'],
  broker: ['core', 'platform', 'wire', 'config', 'storage', 'state'],
  client: ['core', 'platform', 'wire', 'config', 'storage', 'state', 'broker'],
}
const shared = ['core', 'platform', 'wire', 'config', 'storage', 'state', 'broker', 'client']

/** `src/broker/topics.ts` is in layer `broker`; `src/main.ts` and `src/gateway.ts` are the composition root. */
const layerOf = (path: string): string => /^src\/([^/]+)\//.exec(path)?.[1] ?? 'root'

function allowedFor(layer: string): readonly string[] | 'all' {
  if (layer === 'root' || layer === 'cli') return 'all'
  return fronts.includes(layer) ? shared : (below[layer] ?? [])
}

const violations = (file: SourceFile, isWrong: (target: string) => boolean) =>
  file.imports.filter(isWrong).map(target => `${file.path} imports ${target}`)

test('imports point down: core <- platform, wire <- config, storage <- state <- broker, client <- fronts <- main, cli', () => {
  const wrong = sourceFiles.filter(inFolder('src')).flatMap(file => {
    const layer = layerOf(file.path)
    const allowed = allowedFor(layer)
    return violations(file, target => {
      if (!target.startsWith('src/') || allowed === 'all') return false
      return layerOf(target) !== layer && !allowed.includes(layerOf(target))
    })
  })
  expect(wrong).toEqual([])
})

test('every folder of src is a known layer', () => {
  const layers = new Set(sourceFiles.filter(inFolder('src')).map(file => layerOf(file.path)))
  const known = [...shared, ...fronts, 'root', 'cli']
  expect([...layers].filter(layer => !known.includes(layer))).toEqual([])
})

test('only main, the composition root and the commands reach the real platform', () => {
  const wrong = sourceFiles
    .filter(inFolder('src'))
    .filter(file => !['root', 'cli'].includes(layerOf(file.path)) && !file.path.startsWith('src/platform/node/'))
    .flatMap(file => violations(file, target => target.startsWith('src/platform/node/')))
  expect(wrong, 'take the interface of src/platform as an argument instead').toEqual([])
})

test('wire is sans-I/O: of the platform it uses nothing', () => {
  const wrong = sourceFiles
    .filter(inFolder('src/wire'))
    .flatMap(file => violations(file, target => target.startsWith('src/platform/')))
  expect(wrong).toEqual([])
})

test('firmware-sim uses a public MQTT client and never src; only cli/sim and cli/demo use it', () => {
  const inward = sourceFiles
    .filter(inFolder('firmware-sim'))
    .flatMap(file => violations(file, target => target.startsWith('src/')))
  const outward = sourceFiles
    .filter(file => !file.path.startsWith('firmware-sim/') && !/^src\/cli\/(sim|demo)[./-]/.test(file.path))
    .flatMap(file => violations(file, target => target.startsWith('firmware-sim/')))
  expect([...inward, ...outward]).toEqual([])
})

test('devices imports nothing of src or firmware-sim; only registry, firmware-sim and the commands import it', () => {
  const inward = sourceFiles
    .filter(inFolder('devices'))
    .flatMap(file => violations(file, target => /^(src|firmware-sim)\//.test(target)))
  const outward = sourceFiles
    .filter(file => !/^(devices|firmware-sim|src\/registry|src\/cli)\//.test(file.path))
    .flatMap(file => violations(file, target => target.startsWith('devices/')))
  expect([...inward, ...outward]).toEqual([])
})

test('tests and tools are never imported by the product', () => {
  const wrong = sourceFiles.flatMap(file => violations(file, target => target.startsWith('test/')))
  expect(wrong).toEqual([])
})
