/** sd_notify(3): tells systemd how the daemon is doing, if systemd asked for it. */
import { UnixDatagrams } from './unix-datagrams.ts'

/** Sends `KEY=value` lines to NOTIFY_SOCKET. Without that variable, or when nobody listens there, nothing happens. */
export function notifySystemd(lines: string, path: string | undefined = process.env['NOTIFY_SOCKET']): void {
  if (path === undefined || path === '') return
  using socket = new UnixDatagrams(path)
  socket.send(Buffer.from(lines, 'utf8'))
}

/**
 * Tells systemd's watchdog twice per interval that the event loop turns, if the unit asks for that (WATCHDOG_USEC).
 * @returns ends it
 */
export function keepWatchdogQuiet(
  env: Readonly<Record<string, string | undefined>> = process.env,
  notify: (lines: string) => void = notifySystemd,
): () => void {
  const microseconds = Number(env['WATCHDOG_USEC'] ?? 0)
  const meant = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === process.pid
  if (!meant || !Number.isInteger(microseconds) || microseconds < 1000) return () => {}
  const timer = setInterval(() => notify('WATCHDOG=1'), microseconds / 2000)
  timer.unref()
  return () => clearInterval(timer)
}
