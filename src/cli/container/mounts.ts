// --mount, --tmpfs and -v as the Engine API takes them.
import { failure } from "../../base/errors.ts"
import { paths } from "../lazy-modules.ts"
import { readBytes, splitCsv } from "./values.ts"

interface WireMount {
  Type: string
  Source?: string
  Target?: string
  ReadOnly?: boolean
  Consistency?: string
  BindOptions?: Record<string, unknown>
  VolumeOptions?: {
    NoCopy?: boolean
    Subpath?: string
    Labels?: Record<string, string>
    DriverConfig?: { Name?: string; Options?: Record<string, string> }
  }
  TmpfsOptions?: { SizeBytes?: number; Mode?: number }
  ImageOptions?: { Subpath?: string }
}

const truth = (key: string, value: string | undefined): boolean => {
  if (value === undefined || value === "true" || value === "1") return true
  if (value === "false" || value === "0") return false
  throw failure("invalid", `invalid value for ${key}: ${value}`)
}

/** One --mount value. Throws invalid with docker's words. */
export function readMount(value: string): WireMount {
  const mount: WireMount = { Type: "volume" }
  if (value === "") throw failure("invalid", "EOF")
  for (const field of splitCsv(value)) {
    const equals = field.indexOf("=")
    const key = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase()
    applyMountField(mount, key, equals < 0 ? undefined : field.slice(equals + 1))
  }
  if (!mount.Target) throw failure("invalid", "target is required")
  for (const [family, options] of [
    ["bind", mount.BindOptions],
    ["volume", mount.VolumeOptions],
    ["tmpfs", mount.TmpfsOptions],
    ["image", mount.ImageOptions],
  ] as const)
    if (options && mount.Type !== family)
      throw failure("invalid", `cannot mix '${family}-*' options with mount type '${mount.Type}'`)
  return mount
}

function applyMountField(mount: WireMount, key: string, value: string | undefined): void {
  const needed = (): string => {
    if (value === undefined || value === "")
      throw failure("invalid", `invalid field '${key}' must be a key=value pair`)
    return value
  }
  const bind = () => {
    mount.BindOptions ??= {}
    return mount.BindOptions
  }
  const volume = () => {
    mount.VolumeOptions ??= {}
    return mount.VolumeOptions
  }
  const driver = () => {
    const options = volume()
    options.DriverConfig ??= {}
    return options.DriverConfig
  }
  const pair = (into: Record<string, string>) => {
    const [name = "", ...rest] = needed().split("=")
    into[name] = rest.join("=")
    return into
  }
  const fields: Readonly<Record<string, () => void>> = {
    type: () => {
      mount.Type = needed().toLowerCase()
    },
    source: () => {
      mount.Source = needed()
    },
    target: () => {
      mount.Target = needed()
    },
    readonly: () => {
      mount.ReadOnly = truth(key, value)
    },
    consistency: () => {
      mount.Consistency = needed()
    },
    "bind-propagation": () => {
      bind().Propagation = needed().toLowerCase()
    },
    "bind-nonrecursive": () => {
      bind().NonRecursive = truth(key, value)
    },
    "bind-recursive": () => {
      bind().NonRecursive = needed() === "disabled"
    },
    "bind-create-src": () => {
      bind().CreateMountpoint = truth(key, value)
    },
    "volume-nocopy": () => {
      volume().NoCopy = truth(key, value)
    },
    "volume-subpath": () => {
      volume().Subpath = needed()
    },
    "volume-label": () => {
      volume().Labels = pair(volume().Labels ?? {})
    },
    "volume-driver": () => {
      driver().Name = needed()
    },
    "volume-opt": () => {
      driver().Options = pair(driver().Options ?? {})
    },
    "tmpfs-size": () => {
      const size = needed()
      if (!/^\d/.test(size)) throw failure("invalid", `invalid value for tmpfs-size: ${size}`)
      mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: readBytes(size) }
    },
    "tmpfs-mode": () => {
      const mode = needed()
      if (!/^[0-7]+$/.test(mode)) throw failure("invalid", `invalid value for tmpfs-mode: ${mode}`)
      mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(mode, 8) }
    },
    "image-subpath": () => {
      mount.ImageOptions = { Subpath: needed() }
    },
  }
  const names: Readonly<Record<string, string>> = {
    src: "source",
    dst: "target",
    destination: "target",
    ro: "readonly",
  }
  const apply = fields[names[key] ?? key]
  if (!apply && value === undefined)
    throw failure("invalid", `invalid field '${key}' must be a key=value pair`)
  if (!apply) throw failure("invalid", `unexpected key '${key}' in '${key}=${value}'`)
  apply()
  if (
    mount.Type === "bind" &&
    mount.Source &&
    !mount.Source.startsWith("/") &&
    /^\.{1,2}(\/|$)/.test(mount.Source)
  )
    mount.Source = paths().resolve(mount.Source)
}

/** -v values: paths alone are anonymous volumes, the rest are binds (host paths made absolute). */
export function readVolumes(values: readonly string[]): { binds: string[]; volumes: Record<string, object> } {
  const binds: string[] = []
  const volumes: Record<string, object> = {}
  for (const value of values) {
    const [source = "", target, ...rest] = value.split(":")
    if (target === undefined) volumes[source] = {}
    else if (/^\.{1,2}(\/|$)/.test(source)) binds.push([paths().resolve(source), target, ...rest].join(":"))
    else binds.push(value)
  }
  return { binds, volumes }
}
