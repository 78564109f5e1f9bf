// The process of a spec: who runs what, where, and with which limits of its own.

import type { Rlimit } from "../../oci/runtime-spec.ts"
import type { ContainerConfig, Ulimit } from "../../state/container.ts"
import { containerOf } from "./namespaces.ts"
import type { With } from "./spec.ts"

/** Sets user, directory, terminal, rlimits, OOM score and the names of the host. */
export const withProcess: With = (spec, { request, capabilities }) => {
  const { config } = request
  const { process } = spec
  process.terminal = config.tty
  const [height, width] = config.consoleSize
  if (config.tty && height > 0 && width > 0) process.consoleSize = { height, width }
  process.user = { uid: 0, gid: 0, umask: 0o022, username: config.user, additionalGroups: config.groupAdd }
  process.cwd = config.workingDirectory || "/"
  process.capabilities = {
    bounding: capabilities,
    effective: capabilities,
    permitted: capabilities,
    inheritable: [],
    ambient: [],
  }
  process.rlimits = (config.resources.ulimits ?? []).map(rlimit)
  process.noNewPrivileges = hasNoNewPrivileges(config)
  process.oomScoreAdj = config.oomScoreAdjust
  // A shared UTS namespace keeps the names that its owner gave it.
  if (config.utsMode === "host" || containerOf(config.utsMode) !== undefined) return
  if (config.hostname !== "") spec.hostname = config.hostname
  if (config.domainname !== "") spec.domainname = config.domainname
}

export const rlimit = ({ name, soft, hard }: Ulimit): Rlimit => ({
  type: `RLIMIT_${name.toUpperCase()}`,
  soft,
  hard,
})

/** "no-new-privileges", "no-new-privileges=true", "no-new-privileges:true". */
export const hasNoNewPrivileges = (config: ContainerConfig): boolean =>
  config.securityOptions.some((option) => /^no-new-privileges(?:[=:]true)?$/.test(option))
