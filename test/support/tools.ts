import { execFile, execFileSync, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { test } from 'vitest'

const run = promisify(execFile)

/** Programs that interop tests may need, and the packages in which `.ci/run` gets them. */
export const tools = {
  kcat: { probe: ['-V'], package: 'kcat' },
  mosquitto: { probe: ['-h'], package: 'mosquitto' },
  mosquitto_pub: { probe: ['--help'], package: 'mosquitto-clients' },
  mosquitto_sub: { probe: ['--help'], package: 'mosquitto-clients' },
  python3: { probe: ['--version'], package: 'python3' },
  unshare: { probe: ['--pid', '--fork', '--mount-proc', 'true'], package: 'util-linux' },
} as const

export type Tool = keyof typeof tools

const found = new Map<Tool, boolean>()

/** Whether the program can be started; whatever exit code its probe gives. */
function isInstalled(tool: Tool): boolean {
  const known = found.get(tool)
  if (known !== undefined) return known
  let installed = true
  try {
    execFileSync(tool, tools[tool].probe, { stdio: 'ignore', timeout: 10_000 })
  } catch (error) {
    installed = (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
  found.set(tool, installed)
  return installed
}

export type Test = (name: string, body: () => Promise<void>, timeoutMs?: number) => void

/** The `test` function, or skips that say why not: for what a machine may not allow, as mounts. */
export const skipBecause = (reason: string | undefined): Test => {
  if (reason === undefined) return test
  return name => {
    process.stderr.write(`skipped: ${name}: ${reason}\n`)
    test.skip(`${name} [${reason}]`, () => undefined)
  }
}

/** The same for what `.ci/run` installs: under CI it is a failure that it is missing. */
export const requireInstalled = (missing: string | undefined): Test => {
  if (missing === undefined || process.env['CI'] !== 'true') return skipBecause(missing)
  return name =>
    test(name, () => {
      throw new Error(`${missing} (what is missing is a failure under CI)`)
    })
}

/**
 * The `test` function for tests that need other programs.
 *
 *   const test = requireTool('kcat')
 *   test('kcat reads what MQTT.js published', async () => { ... })
 */
export const requireTool = (...needed: readonly Tool[]): Test => {
  const missing = needed.filter(tool => !isInstalled(tool))
  if (missing.length === 0) return test
  const packages = new Set(missing.map(tool => tools[tool].package))
  return requireInstalled(`needs ${missing.join(', ')}: apt-get install ${[...packages].join(' ')}`)
}

/**
 * The `test` function for tests that need a folder which an environment variable names, and programs. Without the folder they are a skip
 * that says what it would be, under CI too: what stands in it is not ours to fetch.
 */
export const requireFolder = (variable: string, what: string, ...needed: readonly Tool[]): Test =>
  process.env[variable] === undefined ? skipBecause(`needs ${variable}: ${what}`) : requireTool(...needed)

export interface ToolOutput {
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end; rejects with its stderr when it fails or takes longer than `timeoutMs`. */
export async function runTool(
  tool: Tool,
  args: readonly string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<ToolOutput> {
  const running = run(tool, [...args], { timeout: options.timeoutMs ?? 30_000, maxBuffer: 256 << 20 })
  // one that reads nothing may have ended before: its exit code tells how
  running.child.stdin?.on('error', () => {})
  running.child.stdin?.end(options.input ?? '')
  try {
    return await running
  } catch (error) {
    const { stderr = '', stdout = '', code, signal } = error as ToolOutput & { code?: number; signal?: string }
    throw new Error(
      `${tool} ${args.join(' ')} failed (${signal ?? code}): ${stderr.slice(-2000)} ${stdout.slice(-500)}`,
    )
  }
}

export const startTool = (tool: Tool, args: readonly string[]): RunningProgram => startProgram(tool, args)

export type RunningProgram = ReturnType<typeof startProgram>

/** Starts a program that runs on; `lines` gathers its stdout, `stop` ends it by its pid. */
export function startProgram(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
) {
  const child = spawn(file, [...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  return {
    child,
    lines: () => stdout.split('\n').filter(line => line !== ''),
    stderr: () => stderr,
    async stop(): Promise<void> {
      child.kill('SIGTERM')
      await closed
    },
  }
}
