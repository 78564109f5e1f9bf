// What docker prints for fields that are null or left out: its templates see Go's types, where such a field has a zero value.

const MAPS = new Set([
  "Annotations",
  "AuxiliaryAddresses",
  "Containers",
  "DriverOpts",
  "ExposedPorts",
  "Labels",
  "Networks",
  "Options",
  "PortBindings",
  "Ports",
  "Services",
  "Status",
  "StorageOpt",
  "Sysctls",
  "Tmpfs",
  "Volumes",
])
const POINTERS = new Set([
  "Health",
  "Healthcheck",
  "IPAMConfig",
  "Init",
  "MemorySwappiness",
  "OomKillDisable",
  "PidsLimit",
  "StopTimeout",
  "UsageData",
])
/** Lists that the API leaves out when they are empty. */
const LISTS = new Set(["DNSNames", "Mounts", "Peers", "Shell"])

/** Whether docker knows a field of this name where the API may leave it out. */
export const mayBeAbsent = (name: string): boolean => MAPS.has(name) || POINTERS.has(name) || LISTS.has(name)

/** A field that is null, in print; most such fields are lists. */
export const printAbsent = (name: string): string =>
  MAPS.has(name) ? "map[]" : POINTERS.has(name) ? "<nil>" : "[]"
