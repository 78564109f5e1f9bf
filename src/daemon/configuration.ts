// What the daemon is told: flags first, then its configuration file, then defaults.
import { existsSync, readFileSync } from "node:fs"
import { isIP } from "node:net"
import { isAbsolute, resolve } from "node:path"
import * as v from "valibot"
import { errorMessage, failure } from "../base/errors.ts"
import { LOG_DRIVERS } from "../logs/logs.ts"

export const DEFAULT_DATA_ROOT = "/var/lib/sloop"
const DEFAULT_RUN_ROOT = "/run/sloop"
const DOCKER_SOCKET = "/var/run/docker.sock"
const DEFAULT_FILE = "/etc/sloop/daemon.json"

const text = v.pipe(v.string(), v.nonEmpty("must not be empty"))
const texts = v.array(text)
const several = v.pipe(v.number(), v.integer(), v.minValue(1, "must be at least 1"), v.maxValue(64))
/** As the flag has it, or as dockerd's file does. */
const addressPool = v.union(
  [
    text,
    v.pipe(
      v.strictObject({ base: text, size: v.pipe(v.number(), v.integer()) }),
      v.transform(({ base, size }) => `base=${base},size=${size}`),
    ),
  ],
  'must be "base=CIDR,size=N" or {"base": "CIDR", "size": N}',
)
const settings = v.strictObject({
  "data-root": v.optional(text),
  "run-root": v.optional(text),
  hosts: v.optional(texts),
  launcher: v.optional(text),
  pidfile: v.optional(text),
  "log-level": v.optional(
    v.picklist(["debug", "info", "warn", "error"], "must be debug, info, warn or error"),
  ),
  "stop-containers-on-exit": v.optional(v.boolean()),
  "allow-unprotected-tcp": v.optional(v.boolean()),
  "docker-socket": v.optional(v.boolean()),
  tls: v.optional(v.boolean()),
  tlsverify: v.optional(v.boolean()),
  tlscacert: v.optional(text),
  tlscert: v.optional(text),
  tlskey: v.optional(text),
  bridge: v.optional(text),
  bip: v.optional(text),
  "default-address-pools": v.optional(v.array(addressPool)),
  "host-gateway-ips": v.optional(
    v.pipe(
      v.array(
        v.pipe(
          text,
          v.check((address) => isIP(address) !== 0, "must be an IP address"),
        ),
      ),
      v.maxLength(2),
    ),
  ),
  "firewall-mode": v.optional(v.picklist(["honest", "docker"], "must be honest or docker")),
  "publish-default": v.optional(
    v.pipe(
      text,
      v.check((address) => isIP(address) !== 0, "must be an IP address"),
    ),
  ),
  "network-pool-size": v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(256))),
  "log-driver": v.optional(v.picklist(LOG_DRIVERS, `must be one of ${LOG_DRIVERS.join(", ")}`)),
  "log-opts": v.optional(v.record(v.string(), v.string())),
  "stop-timeout": v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  init: v.optional(v.boolean()),
  "disk-budget": v.optional(text),
  "cgroup-parent": v.optional(text),
  "leave-cgroup-moves": v.optional(v.boolean()),
  "keep-compressed": v.optional(v.boolean()),
  snapshotter: v.optional(v.picklist(["overlay", "erofs"], "must be overlay or erofs")),
  "seccomp-profile": v.optional(text),
  "registry-mirrors": v.optional(texts),
  "insecure-registries": v.optional(texts),
  "certs-dirs": v.optional(texts),
  "max-concurrent-downloads": v.optional(several),
  "max-concurrent-uploads": v.optional(several),
  "max-download-attempts": v.optional(several),
  "max-concurrent-steps": v.optional(several),
  "build-cache-budget": v.optional(text),
  "image-policy": v.optional(text),
  "registry-address": v.optional(text),
  "registry-names": v.optional(texts),
  "registry-htpasswd": v.optional(text),
  "registry-tls-cert": v.optional(text),
  "registry-tls-key": v.optional(text),
  name: v.optional(text),
})
type Settings = v.InferOutput<typeof settings>
type Key = keyof Settings

export interface Configuration extends Omit<Settings, "data-root" | "run-root" | "hosts"> {
  readonly dataRoot: string
  readonly runRoot: string
  readonly hosts: readonly string[]
}

interface Flag {
  readonly key: Key
  readonly kind: "text" | "list" | "flag" | "number" | "pair"
  readonly help: string
}

const FLAGS: Readonly<Record<string, Flag>> = {
  "--data-root": {
    key: "data-root",
    kind: "text",
    help: `Directory of everything that lasts (${DEFAULT_DATA_ROOT})`,
  },
  "--run-root": { key: "run-root", kind: "text", help: `Directory of sockets (${DEFAULT_RUN_ROOT})` },
  "--host": {
    key: "hosts",
    kind: "list",
    help: "Where to listen: unix://PATH, tcp://ADDRESS:PORT, or fd:// for systemd's sockets; repeatable (-H)",
  },
  "--launcher": { key: "launcher", kind: "text", help: "Another launcher than the one inside this program" },
  "--pidfile": { key: "pidfile", kind: "text", help: "File that holds the daemon's process id" },
  "--log-level": { key: "log-level", kind: "text", help: "debug, info, warn or error (info)" },
  "--stop-containers-on-exit": {
    key: "stop-containers-on-exit",
    kind: "flag",
    help: "Stop all containers with the daemon; otherwise they run on",
  },
  "--allow-unprotected-tcp": {
    key: "allow-unprotected-tcp",
    kind: "flag",
    help: "Listen on addresses that other machines reach, where anyone may become root",
  },
  "--docker-socket": {
    key: "docker-socket",
    kind: "flag",
    help: `Listen on ${DOCKER_SOCKET} too, where no other daemon does`,
  },
  "--tls": { key: "tls", kind: "flag", help: "Serve TCP with a certificate" },
  "--tlsverify": { key: "tlsverify", kind: "flag", help: "The same, and hear only clients that have one" },
  "--tlscacert": { key: "tlscacert", kind: "text", help: "PEM certificates that sign those of clients" },
  "--tlscert": { key: "tlscert", kind: "text", help: "PEM certificate chain of the API over TCP" },
  "--tlskey": { key: "tlskey", kind: "text", help: "PEM key of that certificate" },
  "--bridge": { key: "bridge", kind: "text", help: "Name of the default bridge" },
  "--bip": { key: "bip", kind: "text", help: "Address of the default bridge, such as 10.20.0.1/24" },
  "--default-address-pool": {
    key: "default-address-pools",
    kind: "list",
    help: "Where networks get their subnets: base=CIDR,size=PREFIX, or one subnet; repeatable",
  },
  "--host-gateway-ip": {
    key: "host-gateway-ips",
    kind: "list",
    help: "What host-gateway means in --add-host (the default bridge's address); one of each family",
  },
  "--firewall-mode": {
    key: "firewall-mode",
    kind: "text",
    help: "honest: what keeps others from the host's ports keeps them from published ones (default); docker: it does not",
  },
  "--publish-default": {
    key: "publish-default",
    kind: "text",
    help: "Host address of ports published without one, such as 127.0.0.1 (every address)",
  },
  "--network-pool-size": {
    key: "network-pool-size",
    kind: "number",
    help: "Most network namespaces kept ready (16)",
  },
  "--log-driver": {
    key: "log-driver",
    kind: "text",
    help: `Containers' log driver: ${LOG_DRIVERS.join(", ")}`,
  },
  "--log-opt": { key: "log-opts", kind: "pair", help: "Containers' log option KEY=VALUE; repeatable" },
  "--stop-timeout": {
    key: "stop-timeout",
    kind: "number",
    help: "Seconds between stop signal and kill (10)",
  },
  "--disk-budget": {
    key: "disk-budget",
    kind: "text",
    help: "Size such as 20GB: beyond it dangling images go, the least recently used first",
  },
  "--init": { key: "init", kind: "flag", help: "Give containers an init unless they say otherwise" },
  "--cgroup-parent": { key: "cgroup-parent", kind: "text", help: "Cgroup above the containers' own" },
  "--leave-cgroup-moves": {
    key: "leave-cgroup-moves",
    kind: "flag",
    help: "Do not set the kernel's favordynmods, which saves some 10 ms a start",
  },
  "--keep-compressed": {
    key: "keep-compressed",
    kind: "flag",
    help: "Keep layers compressed too, as registries have them",
  },
  "--snapshotter": {
    key: "snapshotter",
    kind: "text",
    help: "How layers are kept: erofs (where the kernel can) or overlay",
  },
  "--seccomp-profile": {
    key: "seccomp-profile",
    kind: "text",
    help: "File with the default seccomp profile",
  },
  "--image-policy": {
    key: "image-policy",
    kind: "text",
    help: "File that says which registries' images must be signed, and by whose keys",
  },
  "--registry-address": {
    key: "registry-address",
    kind: "text",
    help: "ADDRESS:PORT to serve a registry on, with the images that are tagged ADDRESS:PORT/NAME",
  },
  "--registry-name": {
    key: "registry-names",
    kind: "list",
    help: "Another HOST[:PORT] under which clients know the registry; repeatable",
  },
  "--registry-htpasswd": {
    key: "registry-htpasswd",
    kind: "text",
    help: "Password file (bcrypt) of the registry",
  },
  "--registry-tls-cert": {
    key: "registry-tls-cert",
    kind: "text",
    help: "PEM certificate chain of the registry",
  },
  "--registry-tls-key": {
    key: "registry-tls-key",
    kind: "text",
    help: "PEM key of the registry's certificate",
  },
  "--registry-mirror": {
    key: "registry-mirrors",
    kind: "list",
    help: "https://HOST[:PORT] to ask before docker.io; repeatable",
  },
  "--insecure-registry": {
    key: "insecure-registries",
    kind: "list",
    help: "HOST[:PORT] or subnet where plain HTTP and unproven certificates will do; repeatable",
  },
  "--certs-dir": {
    key: "certs-dirs",
    kind: "list",
    help: "Directory of HOST:PORT/{*.crt,*.cert,*.key}; repeatable (/etc/sloop/certs.d, /etc/docker/certs.d)",
  },
  "--max-concurrent-downloads": {
    key: "max-concurrent-downloads",
    kind: "number",
    help: "Layers pulled at once (3)",
  },
  "--max-concurrent-uploads": {
    key: "max-concurrent-uploads",
    kind: "number",
    help: "Layers pushed at once (5)",
  },
  "--max-download-attempts": {
    key: "max-download-attempts",
    kind: "number",
    help: "Tries in a row that may bring nothing of a layer (5)",
  },
  "--max-concurrent-steps": {
    key: "max-concurrent-steps",
    kind: "number",
    help: "Steps of builds that run at once (16)",
  },
  "--build-cache-budget": {
    key: "build-cache-budget",
    kind: "text",
    help: "Size such as 20GB that the cache of builds may take beside the images (a tenth of the disk)",
  },
  "--name": { key: "name", kind: "text", help: "Name that info shows (the host's)" },
}

/** The daemon's help text. */
export function helpText(): string {
  const lines = Object.entries(FLAGS).map(([flag, { kind, help }]) => {
    const value = kind === "flag" ? "" : kind === "number" ? " N" : kind === "pair" ? " K=V" : " VALUE"
    return `  ${`${flag}${value}`.padEnd(32)}${help}`
  })
  return [
    "Usage:  sloop daemon [OPTIONS]",
    "",
    "Run the engine",
    "",
    "Options:",
    `  ${"--config-file FILE".padEnd(32)}Settings as JSON, named as the options are (${DEFAULT_FILE})`,
    ...lines,
    "",
  ].join("\n")
}

/** Flags over file over defaults. Throws invalid, naming the flag or key and what it takes. */
export function configure(argv: readonly string[]): Configuration {
  const { settings: told, file } = parseFlags(argv)
  const merged = { ...readSettings(file), ...told }
  const dataRoot = absolute(merged["data-root"] ?? DEFAULT_DATA_ROOT)
  const runRoot = absolute(merged["run-root"] ?? DEFAULT_RUN_ROOT)
  if (Buffer.byteLength(runRoot) > 70) {
    throw failure(
      "invalid",
      `--run-root ${runRoot} is too long: a socket's path holds 107 bytes, so give a directory of at most 70`,
    )
  }
  const hosts = merged.hosts ?? [`unix://${runRoot}/sloop.sock`]
  return {
    ...merged,
    dataRoot,
    runRoot,
    hosts: merged["docker-socket"] ? [...hosts, `unix://${DOCKER_SOCKET}`] : hosts,
  }
}

const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(path))

function parseFlags(argv: readonly string[]): { settings: Settings; file?: string } {
  const told: Partial<Record<Key, unknown>> = {}
  let file: string | undefined
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? ""
    const equals = word.startsWith("--") ? word.indexOf("=") : -1
    const name = equals < 0 ? word : word.slice(0, equals)
    const inline = equals < 0 ? undefined : word.slice(equals + 1)
    const flagName = name === "-H" ? "--host" : name === "--config" ? "--config-file" : name
    const value = (): string => {
      const given = inline ?? argv[++at]
      if (given === undefined || given === "") throw failure("invalid", `${name} needs a value`)
      return given
    }
    if (flagName === "--config-file") {
      file = value()
      continue
    }
    const flag = FLAGS[flagName]
    if (flag === undefined) {
      throw failure("invalid", `unknown option ${word}: see "sloop daemon --help"`)
    }
    told[flag.key] = flagValue(flag, told[flag.key], inline, value, name)
  }
  return { settings: check(told, "option"), ...(file === undefined ? {} : { file }) }
}

function flagValue(
  flag: Flag,
  before: unknown,
  inline: string | undefined,
  value: () => string,
  name: string,
) {
  switch (flag.kind) {
    case "flag":
      if (inline !== undefined && inline !== "true" && inline !== "false") {
        throw failure("invalid", `${name} is true or false, not ${inline}`)
      }
      return inline !== "false"
    case "number": {
      const text = value()
      if (!/^\d{1,9}$/.test(text)) throw failure("invalid", `${name} needs a whole number, not ${text}`)
      return Number(text)
    }
    case "list":
      return [...(Array.isArray(before) ? before : []), value()]
    case "pair": {
      const text = value()
      const equals = text.indexOf("=")
      if (equals < 1) throw failure("invalid", `${name} needs KEY=VALUE, not ${text}`)
      return { ...(before ?? {}), [text.slice(0, equals)]: text.slice(equals + 1) }
    }
    case "text":
      return value()
  }
}

function readSettings(file: string | undefined): Settings {
  if (file === undefined && !existsSync(DEFAULT_FILE)) return {}
  const path = file ?? DEFAULT_FILE
  try {
    return check(JSON.parse(readFileSync(path, "utf8")), `in ${path}:`)
  } catch (cause) {
    throw failure("invalid", `the configuration ${path} is wrong: ${errorMessage(cause)}`, { cause })
  }
}

function check(value: unknown, where: string): Settings {
  const result = v.safeParse(settings, value, { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  throw failure("invalid", `${where} ${v.getDotPath(issue) ?? "the file"}: ${issue.message}`)
}
