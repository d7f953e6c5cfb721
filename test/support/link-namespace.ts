import { execFileSync } from 'node:child_process'
import { skipBecause, type Test } from './tools.ts'

let made = 0

/**
 * A network of its own with one link to this machine: packets, not streams. What runs in it is started with `prefix`, and reaches this machine at
 * `host` only. Needs root and iproute2.
 */
export class LinkNamespace {
  /** Address of this machine on the link. */
  readonly host: string
  /** Address of what runs inside. */
  readonly inside: string
  readonly #name: string
  readonly #near: string
  readonly #far: string

  static create(): LinkNamespace {
    return new LinkNamespace(`${process.pid.toString(36)}${made++}`)
  }

  private constructor(id: string) {
    this.#name = `brooklet-${id}`
    this.#near = `bkn${id}`
    this.#far = `bkf${id}`
    // 198.18.0.0/15 is for tests of networks (RFC 2544)
    const subnet = `198.18.${process.pid & 0xff}.${(made * 4) & 0xff}`
    const address = (last: number): string => subnet.replace(/\d+$/, octet => String(Number(octet) + last))
    this.host = address(1)
    this.inside = address(2)
    run('ip', 'netns', 'add', this.#name)
    try {
      run('ip', 'link', 'add', this.#near, 'type', 'veth', 'peer', 'name', this.#far, 'netns', this.#name)
      run('ip', 'address', 'add', `${this.host}/30`, 'dev', this.#near)
      run('ip', 'link', 'set', this.#near, 'up')
      run('ip', '-n', this.#name, 'address', 'add', `${address(2)}/30`, 'dev', this.#far)
      run('ip', '-n', this.#name, 'link', 'set', this.#far, 'up')
      run('ip', '-n', this.#name, 'link', 'set', 'lo', 'up')
    } catch (error) {
      this.remove()
      throw error
    }
  }

  /** Runs a program inside. */
  get prefix(): readonly [string, ...string[]] {
    return ['ip', 'netns', 'exec', this.#name]
  }

  /** Packets leave at this rate, each way; what does not fit is dropped as a full modem does. */
  limit(bitsPerSecond: number): void {
    this.#onBothEnds('tbf', 'rate', `${bitsPerSecond}bit`, 'burst', '3000', 'latency', '2000ms')
  }

  /** Packets are delayed, and this share of them is lost, each way. Needs the kernel's netem: see `missingLinkNamespace`. */
  impair(delayMs: number, loss: number): void {
    this.#onBothEnds('netem', 'delay', `${delayMs}ms`, 'loss', `${loss * 100}%`)
  }

  /** Every packet is dropped, each way; nobody is told. */
  blackHole(): void {
    this.#onBothEnds('blackhole')
  }

  /** As it was made. */
  restore(): void {
    for (const command of this.#ends()) {
      try {
        run(...command, 'del', ...this.#device(command), 'root')
      } catch {
        // nothing was set
      }
    }
  }

  remove(): void {
    run('ip', 'netns', 'del', this.#name)
    try {
      run('ip', 'link', 'del', this.#near)
    } catch {
      // it went with its other end
    }
  }

  #onBothEnds(...discipline: string[]): void {
    for (const command of this.#ends()) run(...command, 'replace', ...this.#device(command), 'root', ...discipline)
  }

  #ends(): [string, ...string[]][] {
    return [
      ['tc', 'qdisc'],
      ['tc', '-n', this.#name, 'qdisc'],
    ]
  }

  #device(command: readonly string[]): string[] {
    return ['dev', command.includes('-n') ? this.#far : this.#near]
  }
}

const run = (program: string, ...args: string[]): void => {
  execFileSync(program, args, {
    stdio: 'pipe',
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
  })
}

/** Why there can be no `LinkNamespace` here (no root, no iproute2, no netem); undefined: there can. */
export const missingLinkNamespace = (needs: 'netem' | 'plain' = 'plain'): string | undefined => {
  try {
    const probe = LinkNamespace.create()
    try {
      probe.limit(1_000_000)
      probe.blackHole()
      if (needs === 'netem') probe.impair(1, 0)
    } finally {
      probe.remove()
    }
    return undefined
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr ?? error).split('\n')[0]
  }
}

/** `test` where there can be a `LinkNamespace`; elsewhere a skip that says why not. */
export const requireLinkNamespace = (): Test => skipBecause(missingLinkNamespace())
