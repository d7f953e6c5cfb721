import { spawn } from 'node:child_process'
import { FuseServer } from './fuse-server.ts'
import { mountArguments } from './mount-arguments.ts'
import { VolatileFiles } from './volatile-files.ts'

// The disk of a machine whose power fails on command: a process of its own, so that the kernel's requests are answered while a test waits.
// Told what to do, and tells that it is done, through the channel of its parent (`file-system.ts`).

export type DiskCommand =
  | { readonly kind: 'mount'; readonly path: string }
  | { readonly kind: 'unmount'; readonly path: string }
  /** No request is answered from now on. */
  | { readonly kind: 'freeze' }
  /** All requests fail, those that wait, too. */
  | { readonly kind: 'fail' }
  /** Not while it is mounted. */
  | { readonly kind: 'cut'; readonly seed: number }
  | { readonly kind: 'counts' }

const files = new VolatileFiles()
let server: FuseServer | undefined

/** util-linux, which wants the descriptor of /dev/fuse by number. */
const run = (program: string, args: readonly string[], descriptor: number | 'ignore' = 'ignore'): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', descriptor] })
    let said = ''
    child.stderr!.setEncoding('utf8').on('data', text => {
      said += text
    })
    child.once('error', reject)
    child.once('close', code => (code === 0 ? resolve() : reject(new Error(`${program} ${code}: ${said}`))))
  })

const mount = async (path: string): Promise<void> => {
  server = new FuseServer(files)
  await run('mount', mountArguments(path), server.descriptor)
}

const unmount = async (path: string): Promise<void> => {
  await run('umount', [path])
  await server!.unmounted
  server = undefined
}

const execute = async (command: DiskCommand): Promise<unknown> => {
  if (command.kind === 'mount') return mount(command.path)
  if (command.kind === 'unmount') return unmount(command.path)
  if (command.kind === 'freeze') return server!.freeze()
  if (command.kind === 'fail') return server!.fail()
  if (command.kind === 'cut') return files.cut(command.seed)
  return server!.counts
}

process.on('message', (command: DiskCommand) => {
  execute(command).then(
    result => process.send!({ result }),
    (error: Error) => process.send!({ error: error.message }),
  )
})
process.on('disconnect', () => process.exit())
