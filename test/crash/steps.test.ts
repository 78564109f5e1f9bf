// The daemon as a process is killed at every step of every verb; the next one finds the world whole, and containers ran on.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Crashing, startCrashing } from "./crashing.ts"

let ground: Crashing
beforeAll(async () => {
  ground = await startCrashing()
}, 60_000)
afterAll(() => ground.engine.close(), 60_000)

type Verb = (name: string) => Promise<unknown>
const docker = (...words: string[]) => ground.engine.dockerWith({ timeout: 20_000 }, ...words)
const sleeper = ["-v", "/data", "-p", "127.0.0.1::80", "busybox", "sleep", "1000"]

/** Verb, what happens before the daemon that dies is started, the verb itself, states the victim may be in ("" = gone). */
const verbs: Readonly<
  Record<string, { before?: Verb; act: Verb; steps: Readonly<Record<string, readonly string[]>> }>
> = {
  create: {
    act: (name) => docker("create", "--name", name, ...sleeper),
    steps: {
      "create:begun": [""],
      "snapshot:made": [""],
      "create:volumes": [""],
      "create:recorded": ["created"],
    },
  },
  start: {
    before: (name) => ground.engine.ok("create", "--name", name, ...sleeper),
    act: (name) => docker("start", name),
    steps: {
      "start:begun": ["created"],
      "start:joined": ["created"],
      "start:intended": ["created"],
      "start:launched": ["running"],
      "start:recorded": ["running"],
    },
  },
  exec: {
    before: (name) => ground.engine.ok("run", "-d", "--name", name, ...sleeper),
    act: (name) => docker("exec", name, "sleep", "1000"),
    steps: { "exec:launched": ["running"] },
  },
  stop: {
    before: (name) => ground.engine.ok("run", "-d", "--name", name, ...sleeper),
    act: (name) => docker("stop", "-t", "0", name),
    steps: { "stop:signalled": ["running", "exited"], "stop:ended": ["exited"] },
  },
  exit: {
    before: (name) =>
      ground.engine.ok(
        "create",
        "--name",
        name,
        "-v",
        "/data",
        "-p",
        "127.0.0.1::80",
        "busybox",
        "sh",
        "-c",
        "exit 5",
      ),
    act: (name) => docker("start", name),
    steps: { "exit:known": ["exited"], "exit:recorded": ["exited"], "exit:left": ["exited"] },
  },
  remove: {
    before: (name) => ground.engine.ok("run", "-d", "--name", name, ...sleeper),
    act: (name) => docker("rm", "-fv", name),
    steps: {
      "remove:begun": ["running"],
      "remove:recorded": [""],
      "remove:volumes": [""],
      "remove:down": [""],
      "snapshot:forgotten": [""],
      "remove:snapshot": [""],
      "remove:directory": [""],
      "remove:done": [""],
    },
  },
  "run --rm": {
    act: (name) => docker("run", "--rm", "--name", name, "-v", "/data", "busybox", "true"),
    steps: {
      "create:begun": [""],
      "create:recorded": ["", "created"],
      "start:launched": ["", "running"],
      "exit:known": [""],
      "remove:recorded": [""],
      "remove:down": [""],
      "remove:done": [""],
    },
  },
}

test("each step that the engine names is killed at", () => {
  const rooms = ["engine", "snapshots"].map((room) => join(import.meta.dir, "..", "..", "src", room))
  const named = rooms.flatMap((room) =>
    readdirSync(room, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .flatMap((file) =>
        [...readFileSync(join(room, file), "utf8").matchAll(/crashPoint\("([^"]+)"\)/g)].map(
          (match) => match[1] ?? "",
        ),
      ),
  )
  const covered = new Set(Object.values(verbs).flatMap(({ steps }) => Object.keys(steps)))
  // Those of networks, and of layers, which images unpack, have tests of their own.
  const ofNetworks = readFileSync(join(import.meta.dir, "networks.test.ts"), "utf8")
  const known = (step: string) =>
    covered.has(step) || ofNetworks.includes(`"${step}"`) || step.startsWith("layer:")
  expect(named.filter((step) => !known(step))).toEqual([])
})

let count = 0
for (const [verb, { before, act, steps }] of Object.entries(verbs)) {
  for (const [step, states] of Object.entries(steps)) {
    test(`${verb}, killed at ${step}`, async () => {
      const name = `victim-${++count}`
      await before?.(name)
      await ground.dieAt(step, () => act(name))
      await ground.bystanderLives()
      const state = await ground.stateOf(name)
      expect(states).toContain(state)
      if (verb === "exit")
        expect(await ground.engine.ok("inspect", "-f", "{{.State.ExitCode}}", name)).toBe("5")
      await ground.expectWhole()
      if (state === "") return
      // What survived is a container like any other.
      if (state !== "running") await ground.engine.ok("start", name)
      if (verb !== "exit" && verb !== "run --rm")
        expect(await ground.engine.ok("exec", name, "echo", "works")).toBe("works")
      await docker("rm", "-fv", name)
      await ground.expectWhole()
    }, 60_000)
  }
}
