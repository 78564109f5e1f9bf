// The clients that this suite starts, and the test that says which of their doings it proves; docs/compatibility.md is made of both.
import { test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { findPlugin } from "../buildkit/plugins.ts"

export interface Client {
  /** Where it comes from, and its version as tested. */
  readonly from: string
  /** What a machine lacks that cannot start it; undefined when it is there. */
  missing(): string | undefined
  /** What of it does not work or is not tried here, with the reason. */
  readonly reservations: readonly (readonly [doing: string, why: string])[]
}

/** Node's packages of this suite: `npm ci` in this directory brings them. */
export const packages = join(import.meta.dirname, "node_modules")

/** Debian's Python, whatever other Python is first on PATH. */
export const python = "/usr/bin/python3"

/** Debian's docker client, beside the newer one on PATH. */
export const debianDocker = "/usr/bin/docker"

const command =
  (name: string, from = name) =>
  () =>
    Bun.which(name) === null ? `apt-get install ${from}` : undefined
const npm = (name: string) => () => {
  if (!existsSync(join(packages, name))) return "npm ci --prefix test/clients"
  return Bun.which("node") === null ? "a Node.js of version 20 or later" : undefined
}
const plugin = (name: "buildx" | "compose") => () =>
  findPlugin(name) === undefined ? `docker's plugin ${name}` : undefined
const says = (words: readonly string[], pattern: RegExp): boolean => {
  const [program = "", ...rest] = words
  return existsSync(program) && pattern.test(spawnSync(program, rest, { encoding: "utf8" }).stdout ?? "")
}

export const clients = {
  "docker CLI 20.10": {
    from: "Debian: docker.io",
    reservations: [],
    missing: () =>
      says([debianDocker, "--version"], /version 20\./) ? undefined : "apt-get install docker.io",
  },
  buildx: {
    from: "where the machine has it, or SLOOP_BUILDX names it: buildx 0.24",
    reservations: [
      ["`buildx create` with other drivers", "They start BuildKit's own image, which must be pulled."],
      [
        "`build --sbom`, `debug --invoke`, frontends that are images",
        "Each runs an image of BuildKit's or of others.",
      ],
    ],
    missing: plugin("buildx"),
  },
  "compose v2": {
    from: "where the machine has it, or SLOOP_COMPOSE names it: compose 2.40",
    reservations: [],
    missing: () => plugin("compose")() ?? plugin("buildx")(),
  },
  // Not among the packages that scripts/test.mjs installs, because it brings a Python of its own.
  "docker-compose": {
    from: "Debian: docker-compose 1.29",
    reservations: [],
    missing: command("docker-compose"),
  },
  "docker-py": {
    from: "Debian: python3-docker 5.0",
    reservations: [["its own integration suite", "Debian's package leaves it out."]],
    missing: () =>
      says([python, "-c", "import docker; print('here')"], /here/)
        ? undefined
        : "apt-get install python3-docker",
  },
  dockerode: {
    from: "npm: dockerode 5.0, under Bun and under Node",
    reservations: [["its own suite", "The npm package leaves it out."]],
    missing: () => undefined,
  },
  testcontainers: {
    from: "npm: testcontainers 11.14, under Node 20",
    reservations: [
      ["the real Ryuk", "It cannot be pulled without a network; a stand-in speaks its protocol."],
    ],
    missing: npm("testcontainers"),
  },
  "Dev Containers CLI": {
    from: "npm: @devcontainers/cli 0.89",
    reservations: [["features from registries", "Not tried here: they must be pulled."]],
    missing: npm("@devcontainers/cli"),
  },
  skopeo: { from: "Debian: skopeo 1.9", reservations: [], missing: command("skopeo") },
  podman: { from: "Debian: podman 4.3", reservations: [], missing: command("podman") },
  "Sloop's library": {
    from: '`import { connect } from "sloop"`, against Sloop and Debian\'s dockerd 20.10 alike',
    reservations: [
      ["`engine.build` against dockerd", "Sloop's own; `images.build` sends a tar to any engine."],
    ],
    missing: command("dockerd", "docker.io"),
  },
  "job runners": {
    from: "act's sequence of calls, through dockerode",
    reservations: [],
    missing: () => undefined,
  },
  "watching clients": {
    from: "lazydocker's and editors' streams, through dockerode",
    reservations: [],
    missing: () => undefined,
  },
} satisfies Record<string, Client>

export type ClientName = keyof typeof clients

/** Why `name` cannot be started here; undefined when it can. */
export const missing = (name: ClientName): string | undefined => clients[name].missing()

/** Registers a test of what a client does; skipped, saying why, where the client is not installed. */
export const proves = (
  name: ClientName,
  doing: string,
  body: () => Promise<void>,
  milliseconds = 60_000,
): void => {
  const lack = missing(name)
  if (lack !== undefined) console.log(`skipped: ${name} is not installed here (${lack}): ${doing}`)
  test.skipIf(lack !== undefined)(`${name}: ${doing}`, body, milliseconds)
}
