// "type=local,dest=path": what buildx's flags write as one line of CSV.
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { failure } from "../../base/errors.ts"
import { splitCsv } from "../container/values.ts"

export interface Attributed {
  readonly Type: string
  readonly Attributes: Readonly<Record<string, string>>
}

/** Fields by their keys; a field without "=" is an error unless `bare` says under which key it stands. */
export function readFields(line: string, flag: string, bare?: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const field of splitCsv(line)) {
    const equals = field.indexOf("=")
    const key = (equals < 0 ? (bare ?? "") : field.slice(0, equals)).trim().toLowerCase()
    if (key === "")
      throw failure(
        "invalid",
        `invalid value "${field}" for --${flag}: write it as key=value, with commas between`,
      )
    fields[key] = equals < 0 ? field : field.slice(equals + 1)
  }
  return fields
}

/** --cache-from, --cache-to: "user/app:cache" is a registry's. Directories become absolute. */
export function readCache(line: string, flag: "cache-from" | "cache-to"): Attributed {
  if (!line.includes("=")) return { Type: "registry", Attributes: { ref: line } }
  const { type, ...attributes } = readFields(line, flag)
  if (type === undefined)
    throw failure("invalid", `type required form> "${line}": write type=TYPE,… for --${flag}`)
  const place = flag === "cache-from" ? "src" : "dest"
  if (type === "local") {
    if (!attributes[place]) throw failure("invalid", `--${flag} type=local needs ${place}=DIRECTORY`)
    attributes[place] = resolve(attributes[place])
    if (flag === "cache-from") Object.assign(attributes, cachedManifest(attributes[place], attributes))
  }
  return { Type: type, Attributes: attributes }
}

/** Which manifest of a local cache is meant: its index is on our side. Nothing where there is no cache yet. */
function cachedManifest(
  directory: string,
  { digest, tag = "latest" }: Readonly<Record<string, string>>,
): { digest?: string } {
  if (digest !== undefined || !existsSync(`${directory}/index.json`)) return {}
  const { manifests = [] } = JSON.parse(readFileSync(`${directory}/index.json`, "utf8")) as {
    manifests?: { digest: string; annotations?: Record<string, string> }[]
  }
  const found = manifests.find(
    ({ annotations }) => annotations?.["org.opencontainers.image.ref.name"] === tag,
  )
  return found === undefined ? {} : { digest: found.digest }
}

/** An --output as the engine is asked for it, and where its bytes go here. */
export interface Output extends Attributed {
  /** Absolute file or directory; "-" is standard output. */
  readonly destination?: string
  /** A directory of files rather than one file. */
  readonly tree: boolean
}

const types = ["cacheonly", "docker", "image", "local", "oci", "registry", "tar"]

/** --output: "dir", "-", or CSV. */
export function readOutput(line: string): Output {
  if (!line.includes("=")) {
    if (line === "-") return { Type: "tar", Attributes: {}, destination: "-", tree: false }
    return { Type: "local", Attributes: {}, destination: resolve(line), tree: true }
  }
  const { type, dest, ...attributes } = readFields(line, "output")
  if (type === undefined)
    throw failure("invalid", `type is required for output: write type=TYPE in "${line}"`)
  if (!types.includes(type))
    throw failure("invalid", `unknown type of output "${type}": use one of ${types.join(", ")}`)
  const written = type === "local" || type === "tar" || type === "oci" || type === "docker"
  if (!written) return { Type: type, Attributes: attributes, tree: false }
  if (type === "docker" && dest === undefined) return { Type: "image", Attributes: attributes, tree: false }
  const tree = type === "local" || attributes.tar === "false"
  if (tree && (dest === undefined || dest === "" || dest === "-"))
    throw failure("invalid", `dest is required for ${type} output: write dest=DIRECTORY`)
  return {
    Type: type,
    Attributes: attributes,
    destination: dest === undefined || dest === "" || dest === "-" ? "-" : resolve(dest),
    tree,
  }
}

/** --attest, --provenance, --sbom: types with what they are asked for; disabled ones are left out. */
export function readAttestations(
  lines: readonly string[],
  shorthands: Readonly<Record<"provenance" | "sbom", string | undefined>>,
): Record<string, Record<string, string>> {
  const found: Record<string, Record<string, string>> = {}
  const put = (type: string, attributes: Record<string, string>) => {
    const { disabled, ...rest } = attributes
    if (disabled === "true" || disabled === "1") delete found[type]
    else found[type] = rest
  }
  for (const line of lines) {
    const { type, ...attributes } = readFields(line, "attest")
    if (type === undefined)
      throw failure("invalid", `attestation type not specified in "${line}": write type=TYPE`)
    put(type, attributes)
  }
  for (const type of ["provenance", "sbom"] as const) {
    const value = shorthands[type]
    if (value === undefined) continue
    if (value === "true" || value === "1") put(type, {})
    else if (value === "false" || value === "0") put(type, { disabled: "true" })
    else put(type, readFields(value, type))
  }
  return found
}

/** --annotation "[manifest[platform],index:]key=value" as attributes of an image's export. */
export function annotationAttributes(annotations: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    annotations.flatMap((annotation) => {
      const equals = annotation.indexOf("=")
      if (equals < 0)
        throw failure("invalid", `invalid annotation "${annotation}": write it as [type:]key=value`)
      const [name, value] = [annotation.slice(0, equals), annotation.slice(equals + 1)]
      const typed =
        /^((?:(?:manifest|index|manifest-descriptor|index-descriptor)(?:\[[^\]]*\])?,?)+):(.+)$/.exec(name)
      if (typed === null) return [[`annotation.${name}`, value]]
      return (typed[1] ?? "")
        .split(",")
        .map((type) => [
          `${type.startsWith("manifest") && !type.startsWith("manifest-") ? type.replace("manifest", "annotation") : `annotation-${type}`}.${typed[2]}`,
          value,
        ])
    }),
  )
}
