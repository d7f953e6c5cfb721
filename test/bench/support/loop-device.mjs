// An ext4 of its own on a loop device, so that nobody else writes to the device whose counters are read. Needs root.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const run = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString()

/** Of the kernel, for SD cards and USB disks; disks of virtual machines have 64 times that. */
const readaheadSectors = 256

/** `{ directory, flush(), close() }`, or the reason why there is none. `isDirect`: its image is not in the page cache as well. */
export const mountLoop = (megabytes, folder = tmpdir(), isDirect = false) => {
  if (process.getuid?.() !== 0) return 'a loop device needs root'
  const home = mkdtempSync(join(folder, 'bench-wear-'))
  const image = join(home, 'image')
  const directory = join(home, 'mount')
  try {
    run('truncate', '-s', `${megabytes}M`, image)
    run('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
    run('mkdir', directory)
    const device = run('losetup', '--find', '--show', `--direct-io=${isDirect ? 'on' : 'off'}`, image).trim()
    run('blockdev', '--setra', readaheadSectors, device)
    // gone with the mount
    run('mount', '-o', 'noatime', device, directory)
    run('losetup', '--detach', device)
  } catch (error) {
    rmSync(home, { recursive: true, force: true })
    return `no loop device: ${String(error.stderr ?? error).trim()}`
  }
  const close = () => {
    run('umount', directory)
    rmSync(home, { recursive: true, force: true })
  }
  return { directory, flush: () => run('sync', '-f', directory), close }
}
