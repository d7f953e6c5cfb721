import { open } from 'node:fs/promises'
import type { ReadCredentialFile } from '../credential-file.ts'

const maxBytes = 1024 * 1024
const readableByOthers = 0o004

export const readNodeCredentialFile: ReadCredentialFile = async path => {
  const file = await open(path, 'r')
  try {
    const { mode, size } = await file.stat()
    if (size > maxBytes) throw Object.assign(new Error(`${path} has ${size} bytes`), { code: 'EFBIG' })
    return { content: await file.readFile(), openToAll: (mode & readableByOthers) !== 0 }
  } finally {
    await file.close()
  }
}
