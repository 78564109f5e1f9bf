// Every flag and verb of docker's client 28 exists here, or is missing for a reason that is written down.
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { comesLater } from "./later.ts"
import { findVerb } from "./verbs.ts"

const flagFile = join(import.meta.dirname, "..", "..", "test", "docker-client", "client-flags.json")
const dockerFlags: Record<string, string[]> = JSON.parse(readFileSync(flagFile, "utf8"))

/** The reasons are written down once, for docs/compatibility.md and for this test. */
const reasons: readonly { sloop?: string; flags: readonly string[] }[] = JSON.parse(
  readFileSync(join(flagFile, "..", "flag-reasons.json"), "utf8"),
)
const missing = reasons.flatMap(({ sloop, flags }) => (sloop === "no" ? flags : []))

test("flags of docker that are missing here are those with a reason", async () => {
  const found: string[] = []
  for (const [words, flags] of Object.entries(dockerFlags)) {
    const entry = findVerb(words.split(" "))?.entry
    if (!entry) continue
    const own = new Set((await entry.load()).verb.flags.map(({ name }) => `--${name}`))
    found.push(
      ...flags.filter((flag) => flag !== "--help" && !own.has(flag)).map((flag) => `${words} ${flag}`),
    )
  }
  // A flag that has come since must leave the list, and a new gap must say why.
  expect(found.toSorted()).toEqual(missing.toSorted())
})

const verbs: Readonly<Record<string, string>> = {
  "": "run exec ps build pull push images login logout search version info attach commit cp create diff events export history import inspect kill load logs pause port rename restart rm rmi save start stats stop tag top unpause update wait checkpoint plugin trust config node secret service stack swarm",
  builder: "build prune",
  container:
    "attach commit cp create diff exec export inspect kill logs ls pause port prune rename restart rm run start stats stop top unpause update wait",
  image: "build history import inspect load ls prune pull push rm save tag",
  volume: "create inspect ls prune rm",
  network: "connect create disconnect inspect ls prune rm",
  system: "df events info prune dial-stdio",
  context: "create export import inspect ls rm show update use",
  manifest: "annotate create inspect push rm",
}

test("every verb of docker is there, or says in one sentence why not", () => {
  const silent = Object.entries(verbs).flatMap(([group, names]) =>
    names
      .split(" ")
      .map((name) => (group ? [group, name] : [name]))
      .filter((words) => !findVerb(words) && !comesLater(words)),
  )
  expect(silent).toEqual([])
})
