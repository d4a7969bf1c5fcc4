/** Users and groups by their names, as /etc/passwd and /etc/group have them. */
import { ConfigError } from '../config/config-error.ts'
import type { ConfigFiles } from '../config/files.ts'

/** Numbers of a user and a group. */
export interface Owner {
  readonly uid?: number
  readonly gid?: number
}

/** Names or numbers to numbers. @throws ConfigError for a name that nobody has */
export function ownerOf(user: string | undefined, group: string | undefined, files: ConfigFiles): Owner {
  return {
    ...(user !== undefined && { uid: numberOf(user, '/etc/passwd', 'user', files) }),
    ...(group !== undefined && { gid: numberOf(group, '/etc/group', 'group', files) }),
  }
}

function numberOf(name: string, path: string, what: string, files: ConfigFiles): number {
  if (/^\d{1,9}$/.test(name)) return Number(name)
  const lines = files.stat(path) === undefined ? '' : Buffer.from(files.read(path)).toString('utf8')
  const found = lines.split('\n').find((line) => line.startsWith(`${name}:`))
  const number = Number(found?.split(':')[2] || Number.NaN)
  if (!Number.isInteger(number))
    throw new ConfigError(`there is no ${what} '${name}' in ${path}; charon.${what} names one`)
  return number
}
