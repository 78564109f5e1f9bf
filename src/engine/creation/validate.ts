// What the engine itself refuses in a configuration, in Docker's words. The runtime checks limits and security.
import { failure } from "../../base/errors.ts"
import { isName } from "../../base/ids.ts"
import { parseSignal } from "../../base/signals.ts"
import type { ContainerConfig, MountRequest } from "../../state/state.ts"
import { parseLog } from "./log-options.ts"

const invalid = (message: string): never => {
  throw failure("invalid", message)
}

/** Throws invalid: `Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`. */
export const validateName = (name: string): void => {
  if (!isName(name)) invalid(`Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`)
}

const validateHealthcheck = (config: ContainerConfig): void => {
  const check = config.healthcheck
  if (check === undefined) return
  for (const [label, value] of [
    ["Interval", check.interval],
    ["Timeout", check.timeout],
    ["StartPeriod", check.startPeriod],
    ["StartInterval", check.startInterval],
  ] as const) {
    if (value !== undefined && value !== 0 && value < 1) {
      invalid(`${label} in Healthcheck cannot be less than 1ms`)
    }
  }
  if ((check.retries ?? 0) < 0) invalid("Retries in Healthcheck cannot be negative")
  const kind = check.test?.[0]
  if (kind !== undefined && kind !== "" && kind !== "NONE" && kind !== "CMD" && kind !== "CMD-SHELL") {
    invalid(`Unknown type "${kind}" in Healthcheck (expected NONE, CMD or CMD-SHELL)`)
  }
}

const validateRestart = (config: ContainerConfig): void => {
  const { name, maximumRetries } = config.restart
  if (!["no", "always", "unless-stopped", "on-failure"].includes(name)) {
    invalid(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    )
  }
  if (name !== "on-failure" && maximumRetries !== 0) {
    invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'")
  }
  if (maximumRetries < 0) invalid("invalid restart policy: maximum retry count cannot be negative")
  if (config.autoRemove && name !== "no") invalid("can't create 'AutoRemove' container with restart policy")
}

/** A path as the mount tree sees it: no "." or "..", no double or trailing slash. */
export const cleanPath = (path: string): string => {
  const parts: string[] = []
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue
    if (part === "..") parts.pop()
    else parts.push(part)
  }
  return `/${parts.join("/")}`
}

const validateMount = (mount: MountRequest): void => {
  const refuse = (why: string) => invalid(`invalid mount config for type "${mount.type}": ${why}`)
  const brief =
    mount.origin === "mounts" ? refuse : (why: string) => invalid(`invalid volume specification: ${why}`)
  if (mount.target === "") refuse("field Target must not be empty")
  if (!mount.target.startsWith("/"))
    brief(`invalid mount path: '${mount.target}' mount path must be absolute`)
  if (cleanPath(mount.target) === "/") brief("invalid specification: destination can't be '/'")
  if (mount.target.includes("\0") || mount.source?.includes("\0")) refuse("paths must not hold NUL")
  if (mount.type === "bind") {
    if (mount.source === undefined || mount.source === "") refuse("field Source must not be empty")
    if (!mount.source?.startsWith("/"))
      refuse(`invalid mount path: '${mount.source}' mount path must be absolute`)
  }
  if (mount.type === "volume" && mount.source !== undefined && mount.source !== "" && !isName(mount.source)) {
    invalid(
      `create ${mount.source}: "${mount.source}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
  }
  if (mount.type === "tmpfs" && mount.source !== undefined && mount.source !== "") {
    refuse("field Source must not be specified")
  }
  if (
    mount.subpath !== undefined &&
    (mount.subpath.startsWith("/") || mount.subpath.split("/").includes(".."))
  ) {
    refuse("subpath must be a relative path within the volume")
  }
}

const validateMounts = (config: ContainerConfig): void => {
  const seen = new Set<string>()
  for (const mount of config.mounts) {
    validateMount(mount)
    const target = cleanPath(mount.target)
    if (seen.has(target)) invalid(`Duplicate mount point: ${target}`)
    seen.add(target)
  }
  for (const path of config.volumes) {
    if (!path.startsWith("/")) invalid(`invalid volume specification: '${path}' mount path must be absolute`)
    if (cleanPath(path) === "/") invalid("invalid specification: destination can't be '/'")
  }
}

const validateNetwork = (config: ContainerConfig): void => {
  const shared = config.networkMode.startsWith("container:")
  if (shared && config.ports.length > 0) {
    invalid("conflicting options: port publishing and the container type network mode")
  }
  if (shared && (config.links.length > 0 || config.dns.length > 0 || config.extraHosts.length > 0)) {
    invalid("conflicting options: dns, extra hosts or links and the container type network mode")
  }
  if (config.networkMode === "host" && config.links.length > 0) {
    invalid(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    )
  }
  for (const entry of config.extraHosts) {
    if (!/^[^\s:=]+[:=]\S+$/.test(entry)) invalid(`bad format for add-host: "${entry}"`)
  }
}

/** Modes of namespaces: what is none of these must not fall back to anything silently. */
const validateModes = (config: ContainerConfig): void => {
  const { pidMode, ipcMode, utsMode, usernsMode, cgroupnsMode } = config
  const check = (label: string, mode: string, allowed: readonly string[], shares: boolean) => {
    if (allowed.includes(mode) || (shares && /^container:./.test(mode))) return
    invalid(`invalid ${label} mode: ${mode}`)
  }
  check("PID", pidMode, ["", "host"], true)
  check("IPC", ipcMode, ["", "none", "host", "private", "shareable"], true)
  check("UTS", utsMode, ["", "host"], false)
  check("userns", usernsMode, ["", "host"], false)
  check("cgroup namespace", cgroupnsMode, ["", "host", "private"], false)
}

/** What clients may name: ours, and the names under which other engines know their only runtime. */
const runtimes = ["", "sloop", "runc", "io.containerd.runc.v2"]

/** Throws invalid for the first thing that is wrong. */
export const validateConfig = (config: ContainerConfig): void => {
  if (config.hostname.length > 64 || !/^[\w.-]*$/.test(config.hostname)) {
    invalid(`invalid hostname format: ${config.hostname}`)
  }
  if (config.domainname.length > 64 || !/^[\w.-]*$/.test(config.domainname)) {
    invalid(`invalid domain name format: ${config.domainname}`)
  }
  if (!runtimes.includes(config.runtime)) {
    invalid(`unknown or invalid runtime name: ${config.runtime}: this engine has one runtime, "sloop"`)
  }
  const [storageOption] = Object.keys(config.storageOptions)
  if (storageOption !== undefined) {
    invalid(
      `--storage-opt ${storageOption} is not supported: a container's layer has no size limit of its own`,
    )
  }
  validateModes(config)
  if (config.workingDirectory !== "" && !config.workingDirectory.startsWith("/")) {
    invalid(`the working directory '${config.workingDirectory}' is invalid, it needs to be an absolute path`)
  }
  for (const entry of config.env) {
    if (entry === "" || entry.startsWith("=")) invalid(`invalid environment variable: ${entry}`)
    if (entry.includes("\0")) invalid("an environment variable holds a NUL byte")
  }
  for (const word of [...(config.entrypoint ?? []), ...config.command]) {
    if (word.includes("\0")) invalid("the command holds a NUL byte")
  }
  if (config.stopSignal !== undefined) parseSignal(config.stopSignal)
  if (config.shmSize < 0) invalid("SHM size can not be less than 0")
  if (config.oomScoreAdjust < -1000 || config.oomScoreAdjust > 1000) {
    invalid(`Invalid value ${config.oomScoreAdjust}, range for oom score adj is [-1000, 1000]`)
  }
  validateHealthcheck(config)
  validateRestart(config)
  validateMounts(config)
  validateNetwork(config)
  parseLog(config.logDriver, config.logOptions)
}
