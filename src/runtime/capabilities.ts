// Capabilities: names, bits, and what a container gets of them by Docker's rules.
import { failure } from "../base/errors.ts"

/** Names without "CAP_"; the index is the kernel's bit. */
export const capabilityNames = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
] as const

const bits: ReadonlyMap<string, bigint> = new Map(
  capabilityNames.map((name, index) => [`CAP_${name}`, 1n << BigInt(index)]),
)

const defaults = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
]

const all = "ALL"

/** "net_admin", "CAP_NET_ADMIN" → "CAP_NET_ADMIN"; "all" → "ALL". Throws invalid as `invalid CapAdd: …`. */
function normalise(names: readonly string[], field: "CapAdd" | "CapDrop"): string[] {
  return names.map((given) => {
    const upper = given.trim().toUpperCase()
    if (upper === all || upper === "CAP_ALL") return all
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`
    if (!bits.has(name)) throw failure("invalid", `invalid ${field}: unknown capability: "${name}"`)
    return name
  })
}

/** Bit mask of names with "CAP_"; unknown names count for nothing. */
export const capabilityMask = (names: readonly string[]): bigint =>
  names.reduce((mask, name) => mask | (bits.get(name) ?? 0n), 0n)

/** Names, with "CAP_", of the bits of a mask; in the order of the bits. */
export const capabilitiesOf = (mask: bigint): string[] =>
  [...bits].filter(([, bit]) => (mask & bit) !== 0n).map(([name]) => name)

/**
 * What a container may have: Docker's defaults plus and minus what was asked for, or everything when privileged.
 * `available` is the mask of what this engine itself can give. Throws invalid for unknown names and for added ones
 * that cannot be given.
 */
export function containerCapabilities(
  asked: { privileged: boolean; capAdd: readonly string[]; capDrop: readonly string[] },
  available: bigint,
): string[] {
  const add = normalise(asked.capAdd, "CapAdd")
  const drop = normalise(asked.capDrop, "CapDrop")
  if (asked.privileged) return capabilitiesOf(available)
  for (const name of add)
    if (name !== all && (available & (bits.get(name) ?? 0n)) === 0n)
      throw failure(
        "invalid",
        `invalid CapAdd: capability not supported by your kernel or not available in the current environment: "${name}"`,
      )
  const given = (names: Iterable<string>): string[] => capabilitiesOf(capabilityMask([...names]) & available)
  if (add.includes(all)) return capabilitiesOf(available & ~capabilityMask(drop))
  if (drop.includes(all)) return given(add)
  return given([...defaults.filter((name) => !drop.includes(name)), ...add])
}
