// Starts the daemon over with the runtime settings of a small heap; the runtime reads them only from its environment.
import { basename } from "node:path"
import { LEAN_SETTINGS } from "../base/lean-settings.ts"

/**
 * Replaces this process by itself under lean settings, with the same pid and arguments, or returns when it runs under
 * them already. What we start does not inherit them.
 */
export function becomeLean(): void {
  const names = Object.keys(LEAN_SETTINGS)
  const given = names.some((name) => process.env[name] !== undefined)
  for (const name of names) if (given) delete process.env[name]
  const { execPath, execve } = process
  // Sockets of systemd's would be closed on the way: its unit gives these settings itself.
  if (given || execve === undefined || process.env.LISTEN_FDS !== undefined) return
  // A program of its own has no script among its arguments; the runtime has it first.
  const words = basename(execPath).startsWith("bun")
    ? [...process.execArgv, ...process.argv.slice(1)]
    : process.argv.slice(2)
  try {
    execve(execPath, [execPath, ...words], { ...process.env, ...LEAN_SETTINGS } as Record<string, string>)
  } catch {
    // Where a process may not execute itself again, it runs with the usual settings.
  }
}
