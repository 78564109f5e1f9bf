// The environment that a container's processes get. HOME is the launcher's: only it can read the root's passwd.
import type { ContainerConfig } from "../../state/state.ts"
import { overrideEnv } from "./merge.ts"

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** PATH, HOSTNAME and TERM as defaults, then links, then what was configured. */
export const environmentOf = (config: ContainerConfig, linked: readonly string[] = []): string[] =>
  overrideEnv(
    [defaultPath, `HOSTNAME=${config.hostname}`, ...(config.tty ? ["TERM=xterm"] : []), ...linked],
    config.env,
  )

/** The container's environment with an exec's own variables over it. */
export const execEnvironment = (
  config: ContainerConfig,
  exec: { env: readonly string[]; tty: boolean },
): string[] => overrideEnv(environmentOf({ ...config, tty: config.tty || exec.tty }), exec.env)
