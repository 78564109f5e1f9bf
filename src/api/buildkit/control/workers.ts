// The one worker of this engine: what it is called, which platforms it builds for, and the version that clients see.
import { readdirSync, readFileSync } from "node:fs"
import { arch } from "node:os"
import { join } from "node:path"
import { VERSION } from "../../../base/version.ts"
import type { Engine } from "../../../engine/engine.ts"
import { hostPlatform, type Platform } from "../../../oci/platform.ts"

/** The BuildKit whose API this face has; tools choose by it what they may ask for. */
const LIKE = "v0.23.2"

export const buildkitVersion = {
  package: "sloop",
  version: `${LIKE}+sloop-${VERSION}`,
  revision: "",
} as const

const REGISTERED = "/proc/sys/fs/binfmt_misc"
/** Architectures by the names that emulators register themselves under. */
const emulated: Readonly<Record<string, Omit<Platform, "os">>> = {
  "qemu-x86_64": { architecture: "amd64", variant: "" },
  "qemu-aarch64": { architecture: "arm64", variant: "" },
  "qemu-arm": { architecture: "arm", variant: "v7" },
  "qemu-i386": { architecture: "386", variant: "" },
  "qemu-ppc64le": { architecture: "ppc64le", variant: "" },
  "qemu-riscv64": { architecture: "riscv64", variant: "" },
  "qemu-s390x": { architecture: "s390x", variant: "" },
  "qemu-loongarch64": { architecture: "loong64", variant: "" },
  "qemu-mips64el": { architecture: "mips64le", variant: "" },
}

/** The host's platform first, then those that it emulates. */
function workerPlatforms(): readonly Platform[] {
  const own = hostPlatform()
  const also: Platform[] = arch() === "x64" ? [{ os: "linux", architecture: "386", variant: "" }] : []
  let names: readonly string[] = []
  try {
    names = readdirSync(REGISTERED)
  } catch {
    // Nothing is registered where the file system is not mounted.
  }
  for (const name of names) {
    const platform = emulated[name]
    if (platform !== undefined && isEnabled(name)) also.push({ os: "linux", ...platform })
  }
  const known = new Set([own.architecture])
  return [own, ...also.filter(({ architecture }) => !known.has(architecture) && known.add(architecture))]
}

function isEnabled(name: string): boolean {
  try {
    return readFileSync(join(REGISTERED, name), "latin1").startsWith("enabled")
  } catch {
    return false
  }
}

/** The worker's record for a client. */
export function workerRecord(engine: Pick<Engine, "describe" | "networks">) {
  const { id, name, snapshotter } = engine.describe()
  const gateway = engine.networks.find("bridge")?.subnets[0]?.gateway ?? ""
  return {
    id,
    labels: new Map([
      ["org.mobyproject.buildkit.worker.executor", "sloop"],
      ["org.mobyproject.buildkit.worker.hostname", name],
      // Its presence tells docker's clients that several platforms, pushes and cache exports are possible.
      ["org.mobyproject.buildkit.worker.snapshotter", snapshotter],
      ["org.mobyproject.buildkit.worker.network", "bridge"],
      ...(gateway === "" ? [] : [["org.mobyproject.buildkit.worker.moby.host-gateway-ip", gateway] as const]),
    ]),
    platforms: workerPlatforms(),
    version: buildkitVersion,
  }
}
