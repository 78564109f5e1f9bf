// Contexts where docker's client keeps them, so that both share them:
//   <config>/contexts/meta/<sha256 of the name>/meta.json          name, description, endpoint
//   <config>/contexts/tls/<sha256 of the name>/docker/{ca,cert,key}.pem
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { errorMessage, failure } from "../../base/errors.ts"
import type { Tls } from "../../client/client.ts"

export interface Meta {
  readonly Name: string
  readonly Metadata: { readonly Description?: string }
  readonly Endpoints: {
    readonly docker?: { readonly Host?: string; readonly SkipTLSVerify?: boolean }
  }
}

/** PEM files of an endpoint by their names. */
export type TlsFiles = Readonly<Partial<Record<"ca.pem" | "cert.pem" | "key.pem", string>>>

const idOf = (name: string): string => createHash("sha256").update(name).digest("hex")

/** Directories of a context's description and of its keys. */
export const contextPaths = (config: string, name: string) => ({
  meta: join(config, "contexts", "meta", idOf(name)),
  tls: join(config, "contexts", "tls", idOf(name)),
})

/** Throws Failure "invalid" for a name that docker would not take. */
export function checkName(name: string): void {
  if (name === "") throw failure("invalid", "context name cannot be empty")
  if (name === "default") throw failure("invalid", '"default" is a reserved context name')
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/.test(name))
    throw failure(
      "invalid",
      `context name "${name}" is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"`,
    )
}

/** Undefined when there is none of that name. Throws Failure "invalid" for a file that cannot be understood. */
export function findContext(config: string, name: string): Meta | undefined {
  const path = join(contextPaths(config, name).meta, "meta.json")
  if (!existsSync(path)) return undefined
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Meta
  } catch (cause) {
    throw failure("invalid", `cannot read the context in ${path}: ${errorMessage(cause)}`, { cause })
  }
}

/** Throws Failure "not-found" with docker's words. */
export function getContext(config: string, name: string): Meta {
  const found = findContext(config, name)
  if (found) return found
  const path = join(contextPaths(config, name).meta, "meta.json")
  throw failure("not-found", `context "${name}": context not found: open ${path}: no such file or directory`)
}

/** By name. */
export function listContexts(config: string): Meta[] {
  const root = join(config, "contexts", "meta")
  if (!existsSync(root)) return []
  return readdirSync(root)
    .map((id) => join(root, id, "meta.json"))
    .filter((path) => existsSync(path))
    .map((path) => JSON.parse(readFileSync(path, "utf8")) as Meta)
    .sort((a, b) => (a.Name < b.Name ? -1 : 1))
}

const put = (directory: string, file: string, text: string): void => {
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const temporary = join(directory, `.${file}.${process.pid}`)
  writeFileSync(temporary, text, { mode: file === "meta.json" ? 0o644 : 0o600 })
  renameSync(temporary, join(directory, file))
}

/** Writes a context; `tls` undefined leaves its keys as they are. */
export function saveContext(config: string, meta: Meta, tls: TlsFiles | undefined): void {
  const paths = contextPaths(config, meta.Name)
  if (tls) {
    rmSync(paths.tls, { recursive: true, force: true })
    for (const [file, text] of Object.entries(tls)) put(join(paths.tls, "docker"), file, text)
  }
  put(paths.meta, "meta.json", JSON.stringify(meta))
}

export function removeContext(config: string, name: string): void {
  const paths = contextPaths(config, name)
  rmSync(paths.meta, { recursive: true, force: true })
  rmSync(paths.tls, { recursive: true, force: true })
}

export function tlsFilesOf(config: string, name: string): TlsFiles {
  const directory = join(contextPaths(config, name).tls, "docker")
  const found: Partial<Record<keyof TlsFiles, string>> = {}
  for (const file of ["ca.pem", "cert.pem", "key.pem"] as const)
    if (existsSync(join(directory, file))) found[file] = readFileSync(join(directory, file), "utf8")
  return found
}

/** How its engine is reached encrypted; undefined: it is not. */
export function tlsOf(config: string, { Name, Endpoints }: Meta): Tls | undefined {
  const files = tlsFilesOf(config, Name)
  const skip = Endpoints.docker?.SkipTLSVerify === true
  if (Object.keys(files).length === 0 && !skip) return undefined
  return {
    verify: !skip,
    ...(files["ca.pem"] ? { ca: files["ca.pem"] } : {}),
    ...(files["cert.pem"] ? { cert: files["cert.pem"] } : {}),
    ...(files["key.pem"] ? { key: files["key.pem"] } : {}),
  }
}
