// The local driver's options: type, o and device, as for mount(8).
import { failure } from "../base/errors.ts"
import { type BindMount, type FilesystemMount, mountFlagWords } from "../kernel/mount.ts"

type Options = Readonly<Record<string, string>>

const known = new Set(["type", "o", "device", "size"])

const words = (options: Options): string[] => (options.o ?? "").split(",").filter((word) => word !== "")

const isBind = (options: Options): boolean =>
  options.type === "bind" || words(options).some((word) => word === "bind" || word === "rbind")

/** Throws invalid for options that the local driver does not know or that lack their partner. */
export const validateOptions = (name: string, options: Options): void => {
  for (const key of Object.keys(options)) {
    if (!known.has(key)) throw failure("invalid", `create ${name}: invalid option: "${key}"`)
  }
  if (options.type === undefined && options.device === undefined && options.o === undefined) return
  if (options.device === undefined || options.device === "") {
    throw failure("invalid", `create ${name}: missing device in volume options`)
  }
  if (!isBind(options) && (options.type === undefined || options.type === "")) {
    throw failure("invalid", `create ${name}: missing type in volume options`)
  }
  if (isBind(options) && !options.device.startsWith("/")) {
    throw failure(
      "invalid",
      `create ${name}: the device of a bind must be an absolute path: ${options.device}`,
    )
  }
}

/** The mount that the options ask for; undefined for a plain directory. */
export const deviceMount = (options: Options, target: string): BindMount | FilesystemMount | undefined => {
  if (options.device === undefined) return undefined
  const flags = words(options).filter((word) => mountFlagWords.has(word))
  if (isBind(options)) {
    return {
      type: "bind",
      source: options.device,
      target,
      flags: [...flags, "rprivate", "rec"],
      create: "dir",
    }
  }
  return {
    type: "filesystem",
    filesystem: options.type ?? "",
    source: options.device,
    target,
    flags,
    options: words(options).filter(
      (word) => !mountFlagWords.has(word) && word !== "rw" && word !== "defaults",
    ),
  }
}
