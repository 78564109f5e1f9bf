// Device nodes of a container and what its cgroup allows: the usual six, --device, --privileged, rules.
import { lstatSync, readdirSync, type Stats, statSync } from "node:fs"
import { join } from "node:path"
import { failure } from "../../base/errors.ts"
import type { Device, DeviceRule } from "../../oci/runtime-spec.ts"
import type { DeviceRequest } from "../../state/container.ts"
import { defaultDeviceRules, parseDeviceRule } from "../cgroup/devices.ts"
import type { With } from "./spec.ts"

const node = (path: string, major: number, minor: number): Device => ({
  path,
  type: "c",
  major,
  minor,
  fileMode: 0o666,
  uid: 0,
  gid: 0,
})

const usualDevices: readonly Device[] = [
  node("/dev/null", 1, 3),
  node("/dev/zero", 1, 5),
  node("/dev/full", 1, 7),
  node("/dev/random", 1, 8),
  node("/dev/urandom", 1, 9),
  node("/dev/tty", 5, 0),
]

export const withDevices: With = (spec, { request: { config } }) => {
  const devices = new Map(usualDevices.map((device) => [device.path, device]))
  const rules: DeviceRule[] = config.privileged
    ? [{ allow: true, type: "a", access: "rwm" }]
    : [...defaultDeviceRules]
  if (config.privileged) for (const device of nodesBeneath("/dev", "/dev")) devices.set(device.path, device)
  for (const asked of config.resources.devices ?? [])
    for (const device of requestedDevices(asked)) {
      devices.set(device.path, device)
      if (!config.privileged) rules.push(deviceRule(device, asked.access))
    }
  if (!config.privileged)
    for (const text of config.resources.deviceCgroupRules ?? []) rules.push(parseDeviceRule(text))
  spec.linux.devices = spec.mounts.some((mount) => mount.destination === "/dev" && mount.type === "bind")
    ? []
    : [...devices.values()]
  spec.linux.resources.devices = rules
}

const deviceRule = ({ type, major, minor }: Device, access: string): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
})

/** The devices of one --device: a node, or every node beneath a directory. Throws not-found or invalid. */
export function requestedDevices({ hostPath, containerPath }: DeviceRequest): Device[] {
  let found: Stats
  try {
    found = statSync(hostPath)
  } catch (error) {
    throw failure(
      "invalid",
      `error gathering device information while adding custom device "${hostPath}": no such file or directory`,
      { cause: error },
    )
  }
  const target = containerPath || hostPath
  if (found.isDirectory()) {
    const devices = nodesBeneath(hostPath, target)
    if (devices.length > 0) return devices
  }
  const device = deviceOf(target, found)
  if (device !== undefined) return [device]
  throw failure(
    "invalid",
    `error gathering device information while adding custom device "${hostPath}": not a device node`,
  )
}

/** Major and minor of a device number as stat gives it. */
export const deviceNumbers = (rdev: number): { major: number; minor: number } => {
  const number = BigInt(rdev)
  return {
    major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)),
    minor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
  }
}

function deviceOf(path: string, status: Stats): Device | undefined {
  const type = status.isCharacterDevice() ? "c" : status.isBlockDevice() ? "b" : undefined
  if (type === undefined) return undefined
  const { uid, gid, mode } = status
  return { path, type, ...deviceNumbers(status.rdev), fileMode: mode & 0o7777, uid, gid }
}

/** Entries of /dev that are file systems, links or the terminal of each container's own. */
const skipped = new Set(["pts", "ptmx", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"])

function nodesBeneath(directory: string, target: string): Device[] {
  const devices: Device[] = []
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (skipped.has(entry.name)) continue
    const path = join(directory, entry.name)
    const inside = join(target, entry.name)
    if (entry.isDirectory()) devices.push(...nodesBeneath(path, inside))
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
      const device = deviceOf(inside, lstatSync(path))
      if (device !== undefined) devices.push(device)
    }
  }
  return devices
}
