// Writes docs/compatibility.md from the API's routes, the client's own help and what the tests beside this one prove.
//   UPDATE=1 bun test ./test/docker-client/compatibility.test.ts     rewrites the document
import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { API_VERSION, MIN_API_VERSION, routeTable } from "../../src/api/api.ts"
import { createFakeBuilder } from "../api/fake-builder.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { clients } from "../clients/clients.ts"
import { clientVerbs, exceptions, flagsOf } from "./client-verbs.ts"

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

function endpointTable(): string[] {
  const words = { yes: "yes", partly: "partly", refused: "no, and says so" } as const
  return [
    "| | endpoint | what it does | works |",
    "| --- | --- | --- | --- |",
    ...routeTable(createFakeEngine(), createFakeBuilder()).map(
      ({ method, path, summary, support }) =>
        `| ${method} | \`${path.replace(/:(\w+)\+?/g, "{$1}")}\` | ${summary} | ${words[support]} |`,
    ),
  ]
}

/** One row for each doing that test/clients and test/buildkit prove. */
function clientTable(): string[] {
  const proofs = ["clients", "buildkit"]
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
  readonly key: string
  readonly works: string
  readonly note: string
}

function lineOf(key: string, proofs: ReadonlyMap<string, string>): Line {
  const exception = exceptions[key]
  if (exception !== undefined) return { key, ...exception }
  const by = proofs.get(key)
  if (by === undefined) return { key, works: "not tested", note: "" }
  return { key, works: "yes", note: `[${by.replace(".test.ts", "")}](../test/docker-client/${by})` }
}

function verbTables(flags: Readonly<Record<string, string[]>>): string[] {
  const proofs = proven()
  const lines: string[] = []
  for (const verb of clientVerbs) {
    const ofVerb = lineOf(verb, proofs)
    // create takes run's flags and makes the same container.
    const others = new Set(verb === "create" ? flags.run : [])
    lines.push("", `### docker ${verb}`, "", "| | works | shown by, or why not |", "| --- | --- | --- |")
    lines.push(`| \`docker ${verb}\` | ${ofVerb.works} | ${ofVerb.note} |`)
    if (others.size > 0) lines.push("| flags | as for `docker run` | |")
    if (ofVerb.works === "no") continue
    for (const flag of (flags[verb] ?? []).filter((name) => name !== "--help" && !others.has(name))) {
      const { works, note } = lineOf(`${verb} ${flag}`, proofs)
      lines.push(`| \`${flag}\` | ${works} | ${note} |`)
    }
  }
  return lines
}

const text = (flags: Readonly<Record<string, string[]>>): string =>
  [
    "# Compatibility",
    "",
    "What of the Docker Engine API and of the docker client 28 works with Sloop. This file is made by",
    "[a test](../test/docker-client/compatibility.test.ts) from the API's table of routes, the client's help and the tests",
    "that run the real client; it fails when they disagree.",
    "",
    `The API is version ${API_VERSION}; clients from ${MIN_API_VERSION} on are answered in their own version.`,
    "",
    "## Clients",
    "",
    "Each is started as it is, against a daemon of its own, and needs no setting but its socket. docker-compose 1.29 and",
    "the docker client 28 have [suites of their own](../test/docker-client/).",
    "",
    ...clientTable(),
    "",
    "## The docker client, flag by flag",
    ...verbTables(flags),
    "",
    "## The API, endpoint by endpoint",
    "",
    ...endpointTable(),
    "",
  ].join("\n")

test("the flags are those of the docker client 28", () => {
  const { major, flags } = client()
  if (major !== 28) {
    console.warn(`skipped: the docker client here is version ${major}, not 28`)
    return
  }
  if (process.env.UPDATE === "1") writeFileSync(flagFile, `${JSON.stringify(flags(), null, 2)}\n`)
  expect(readFlags()).toEqual(flags())
})

test("docs/compatibility.md says what the tests prove", () => {
  const made = text(readFlags())
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
