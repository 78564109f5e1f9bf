// Writes docs/compatibility.md from the API's routes, the client's own help and what the tests beside this one prove.
//   UPDATE=1 bun test ./test/docker-client/compatibility.test.ts     rewrites the document
import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { API_VERSION, MIN_API_VERSION, routeTable } from "../../src/api/api.ts"
import { comesLater } from "../../src/cli/later.ts"
import { findVerb } from "../../src/cli/verbs.ts"
import { createFakeBuilder } from "../api/fake-builder.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { serve } from "../api/serve.ts"
import { differences } from "../api/version-differences.ts"
import { clients } from "../clients/clients.ts"
import { clientVerbs, flagsOf } from "./client-verbs.ts"
import { flagReasons, reasonOf } from "./flag-reasons.ts"

const root = join(import.meta.dirname, "..", "..")
const document = join(root, "docs", "compatibility.md")
const flagFile = join(import.meta.dirname, "client-flags.json")

/** "run --env" and "pause" as the tests here declare them, with the file that proves each. */
function proven(): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(".test.ts"))
    .sort()) {
    const text = readFileSync(join(import.meta.dirname, name), "utf8")
    for (const call of text.matchAll(/\bproof\(\s*\[([^\]]*)\]/g)) {
      for (const word of (call[1] ?? "").matchAll(/"([^"]+)"/g)) {
        const key = word[1] ?? ""
        if (!found.has(key)) found.set(key, name)
      }
    }
  }
  return found
}

const client = (): { major: number; flags: () => Record<string, string[]> } => {
  const version = spawnSync("docker", ["--version"], { encoding: "utf8" }).stdout ?? ""
  return {
    major: Number(/version (\d+)/.exec(version)?.[1] ?? 0),
    flags: () =>
      Object.fromEntries(
        clientVerbs.map((verb) => {
          // The client hides flags that a daemon does not have: it is to meet none.
          const { stdout } = spawnSync("docker", [...verb.split(" "), "--help"], {
            encoding: "utf8",
            env: { ...process.env, DOCKER_HOST: "unix:///nowhere" },
          })
          return [verb, flagsOf(stdout)]
        }),
      ),
  }
}

const readFlags = (): Record<string, string[]> => JSON.parse(readFileSync(flagFile, "utf8"))

const shownPath = (path: string): string => path.replace(/:(\w+)\+?/g, "{$1}")

/** Every endpoint; one that is refused is asked, and says why. */
async function endpointTable(): Promise<string[]> {
  const words = { yes: "yes", partly: "partly", refused: "no" } as const
  await using api = await serve(createFakeEngine())
  const refusal = async (method: string, path: string): Promise<string> => {
    const answer = await api.request(method, path, method === "GET" || method === "DELETE" ? undefined : {})
    const { message } = (await answer.json()) as { message: string }
    return `${answer.status}: ${message}`
  }
  const rows: string[] = []
  for (const { method, path, summary, support } of routeTable(createFakeEngine(), createFakeBuilder())) {
    const shown = shownPath(path)
    const why = support === "refused" ? await refusal(method, path.replace(/:(\w+)\+?/g, "$1")) : ""
    const since = differences.filter((one) => one.method === method && one.path === shown)
    const versions = [...new Set(since.map((one) => `1.${one.since}`))].join(", ")
    rows.push(`| ${method} | \`${shown}\` | ${summary} | ${words[support]} | ${versions} | ${why} |`)
  }
  return [
    "| | endpoint | what it does | works | differs from | why not |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ]
}

const versionTable = (): string[] => [
  "| | endpoint | from | what is different from then on |",
  "| --- | --- | --- | --- |",
  ...differences.map(({ method, path, since, what }) => `| ${method} | \`${path}\` | 1.${since} | ${what} |`),
]

/** One row for each doing that the clients' tests prove. */
function clientTable(): string[] {
  const proofs = ["clients", "buildkit", "docker-client"]
    .flatMap((suite) => readdirSync(join(root, "test", suite)).map((name) => `${suite}/${name}`))
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .flatMap((file) =>
      [
        ...readFileSync(join(root, "test", file), "utf8").matchAll(/\bproves\(\s*"([^"]+)",\s*"([^"]+)"/g),
      ].map(([, client = "", doing = ""]) => ({ file, client, doing })),
    )
  const rows = Object.entries(clients).flatMap(([client, { from, reservations }]) => [
    ...proofs
      .filter((proof) => proof.client === client)
      .map(({ file, doing }) => [
        client,
        from,
        doing,
        "yes",
        `[${basename(file, ".test.ts")}](../test/${file})`,
      ]),
    ...reservations.map(([doing, why]) => [client, from, doing, "no", why]),
  ])
  return [
    "| client | from | what | works | shown by, or why not |",
    "| --- | --- | --- | --- | --- |",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ]
}

interface Line {
  readonly docker: string
  readonly sloop: string
  readonly note: string
}

/** `own`: whether sloop has it. What sloop lacks must have a reason. */
function lineOf(key: string, proofs: ReadonlyMap<string, string>, own: boolean): Line {
  const reason = reasonOf(key)
  const by = proofs.get(key)
  const link = by === undefined ? "" : `[${by.replace(".test.ts", "")}](../test/docker-client/${by})`
  const docker = reason?.docker ?? (by === undefined ? "not tested" : "yes")
  const sloop = reason?.sloop ?? (own ? docker : "missing")
  if (reason === undefined) return { docker, sloop, note: link }
  if (docker === sloop) return { docker, sloop, note: reason.why }
  return { docker, sloop, note: reason.docker === undefined ? `${link}; sloop: ${reason.why}` : reason.why }
}

async function verbTables(flags: Readonly<Record<string, string[]>>): Promise<string[]> {
  const proofs = proven()
  const lines: string[] = []
  for (const verb of clientVerbs) {
    const entry = findVerb(verb.split(" "))?.entry
    const own = new Set((await entry?.load())?.verb.flags.map(({ name }) => `--${name}`))
    const ofVerb = lineOf(verb, proofs, entry !== undefined)
    // create takes run's flags and makes the same container.
    const others = new Set(verb === "create" ? flags.run : [])
    lines.push(
      "",
      `### docker ${verb}`,
      "",
      "| | docker | sloop | shown by, or why not |",
      "| --- | --- | --- | --- |",
    )
    lines.push(`| \`${verb}\` | ${ofVerb.docker} | ${ofVerb.sloop} | ${ofVerb.note} |`)
    if (others.size > 0) lines.push("| flags | as for `run` | as for `run` | |")
    if (ofVerb.docker === "no") continue
    for (const flag of (flags[verb] ?? []).filter((name) => name !== "--help" && !others.has(name))) {
      const { docker, sloop, note } = lineOf(`${verb} ${flag}`, proofs, own.has(flag))
      lines.push(`| \`${flag}\` | ${docker} | ${sloop} | ${note} |`)
    }
  }
  return lines
}

/** What does not, or only partly, work, in one place. */
const shortfalls = (): string[] => [
  "| flags | docker | sloop | why |",
  "| --- | --- | --- | --- |",
  ...flagReasons.map(({ flags, docker = "yes", sloop = docker, why }) => {
    const shown = flags.filter((flag) => !flag.startsWith("create ")).map((flag) => `\`${flag}\``)
    return `| ${shown.join(", ")} | ${docker} | ${sloop} | ${why} |`
  }),
]

/** Verbs of docker that no engine of one machine answers, as `sloop` says it. */
const absentVerbs = (): string[] => [
  "| | what sloop says |",
  "| --- | --- |",
  ...[
    "buildx",
    "compose",
    "trust",
    "plugin",
    "checkpoint",
    "swarm",
    "node",
    "service",
    "stack",
    "secret",
    "config",
  ].map((verb) => `| \`docker ${verb}\` | ${comesLater([verb]) ?? "missing"} |`),
]

const text = async (flags: Readonly<Record<string, string[]>>): Promise<string> =>
  [
    "# Compatibility",
    "",
    "What of the Docker Engine API, of the clients that speak it, and of the docker client's verbs and flags works with",
    "Sloop. This file is made by [a test](../test/docker-client/compatibility.test.ts) from the API's table of routes, the",
    "client's help, `sloop`'s own flags, the [reasons](../test/docker-client/flag-reasons.json) that are written down and",
    "the tests that run the real clients; it fails when they disagree.",
    "",
    `The API is version ${API_VERSION}; clients from ${MIN_API_VERSION} on are answered in their own version.`,
    "",
    "## Clients",
    "",
    "Each is started as it is, against a daemon of its own, and needs no setting but its socket. The docker client 28 has",
    "[a suite of its own](../test/docker-client/), flag by flag.",
    "",
    ...clientTable(),
    "",
    "## What does not work, and why",
    "",
    "With the docker client 28, and with `sloop` in its place. Verbs that sloop has not:",
    "",
    ...absentVerbs(),
    "",
    "Flags that do not, or only partly, work:",
    "",
    ...shortfalls(),
    "",
    "## The docker client, flag by flag",
    "",
    "`docker` is the client 28 against Sloop; `sloop` is Sloop's own command with the same flag.",
    ...(await verbTables(flags)),
    "",
    "## The API, endpoint by endpoint",
    "",
    "Every endpoint answers in every version; what differs is in the next table. [One test](../test/api/routes.test.ts)",
    "calls each of them, [another](../test/faults/requests.test.ts) sends each what no client would.",
    "",
    ...(await endpointTable()),
    "",
    "## The API, version by version",
    "",
    "What clients of an older version get is the form before; [a test](../test/api/versions.test.ts) asks for both.",
    "",
    ...versionTable(),
    "",
  ].join("\n")

test("the flags are those of the docker client 28", () => {
  const { major, flags } = client()
  if (major !== 28) {
    console.warn(`skipped: the docker client here is version ${major}, not 28`)
    return
  }
  const found = flags()
  if (process.env.UPDATE === "1") writeFileSync(flagFile, `${JSON.stringify(found, null, 2)}\n`)
  expect(readFlags()).toEqual(found)
}, 60_000)

test("docs/compatibility.md says what the tests prove", async () => {
  const made = await text(readFlags())
  expect(made).not.toContain("| not tested |")
  expect(made).not.toContain("| missing |")
  if (process.env.UPDATE === "1") writeFileSync(document, made)
  expect(readFileSync(document, "utf8")).toBe(made)
})

test("what tests declare exists in the client", () => {
  const flags = readFlags()
  const known = new Set(
    clientVerbs.flatMap((verb) => [verb, ...(flags[verb] ?? []).map((flag) => `${verb} ${flag}`)]),
  )
  const aliases = new Set(["container inspect", "container ls", "image rm", "run --kernel-memory"])
  expect([...proven().keys()].filter((key) => !known.has(key) && !aliases.has(key))).toEqual([])
})

test("every reason is about a flag, and differences between versions about an endpoint, that exist", () => {
  const flags = readFlags()
  const unknown = flagReasons
    .flatMap((reason) => reason.flags)
    .filter((flag) => flag !== "run --kernel-memory")
    .filter((flag) => {
      const [, verb = "", name = ""] = /^(.*) (--[\w-]+)$/.exec(flag) ?? []
      return !flags[verb]?.includes(name)
    })
  expect(unknown).toEqual([])
  const paths = new Set(
    routeTable(createFakeEngine(), createFakeBuilder()).map(
      ({ method, path }) => `${method} ${shownPath(path)}`,
    ),
  )
  expect(differences.filter(({ method, path }) => !paths.has(`${method} ${path}`))).toEqual([])
})
