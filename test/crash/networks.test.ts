// The daemon is killed at every step of every verb of networks: containers stay joined as the engine says, no link, address or rule is left.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createConnection, type Socket } from "node:net"
import { join } from "node:path"
import { eventually } from "../fixtures/engine.ts"
import { type Crashing, startCrashing } from "./crashing.ts"

const block = process.pid % 200
/** A subnet that only these tests use, so that routes and bridges of others do not count. */
const subnet = (last: number) => `10.${block}.${last}.0/24`

let ground: Crashing
let connection: Socket
let echoed = ""
const echo = "nc -ll -p 7 -e cat"

beforeAll(async () => {
  ground = await startCrashing()
  const { ok } = ground.engine
  await ok("network", "create", "--subnet", subnet(1), "home")
  const flags = ["--network", "home", "-p", "127.0.0.1::7", "-p", "127.0.0.1::80"]
  await ok("run", "-d", "--name", "neighbour", ...flags, "busybox", "sh", "-c", `httpd -h /etc; ${echo}`)
  const [host, port] = (await ok("port", "neighbour", "7")).split(":")
  await eventually("the neighbour listens", () => opened(Number(port), host ?? ""))
  await answered()
}, 60_000)
afterAll(async () => {
  connection?.destroy()
  await ground.engine.close()
}, 60_000)

const opened = (port: number, host: string): Promise<boolean> =>
  new Promise((resolve) => {
    connection = createConnection(port, host, () => resolve(true))
    connection.once("error", () => resolve(false))
    connection.on("data", (bytes) => {
      echoed += bytes.toString()
    })
  })

/** The connection that was open before everything still carries what is said. */
const answered = async (): Promise<void> => {
  const word = `<${Math.random()}>`
  connection.write(word)
  await eventually("the open connection answers", () => echoed.includes(word))
}

type Act = (name: string) => Promise<unknown>
const docker = (...words: string[]) => ground.engine.dockerWith({ timeout: 20_000 }, ...words)
const sloop = (...words: string[]) => ground.engine.sloopWith({ timeout: 20_000 }, ...words)
const ok = (...words: string[]) => ground.engine.ok(...words)
const sleeper = ["busybox", "httpd", "-f", "-h", "/etc"]
const network = (name: string) => `net-${name}`
const create = (name: string) => ok("network", "create", "--subnet", subnet(2), network(name))
const run = (name: string, ...flags: string[]) => ok("run", "-d", "--name", name, ...flags, ...sleeper)

interface Verb {
  readonly before?: Act
  readonly act: Act
  /** To the number of networks that the victim may be on afterwards. */
  readonly steps: Readonly<Record<string, readonly number[]>>
}

const verbs: Readonly<Record<string, Verb>> = {
  "network create": {
    act: (name) => docker("network", "create", "--subnet", subnet(2), network(name)),
    steps: {
      "network-create:begun": [0],
      "network-create:raised": [0],
      "network-create:recorded": [0],
      "network:created": [0],
    },
  },
  "network rm": {
    before: create,
    act: (name) => docker("network", "rm", network(name)),
    steps: {
      "network-remove:forgotten": [0],
      "network-remove:lowered": [0],
      "network:removed": [0],
    },
  },
  connect: {
    before: async (name) => {
      await create(name)
      await run(name, "-p", "127.0.0.1::80")
    },
    act: (name) => docker("network", "connect", "--gw-priority", "3", network(name), name),
    steps: {
      "connect:intended": [1],
      "connect:linked": [1],
      "connect:published": [1],
      "connect:made": [1, 2],
      "connect:recorded": [2],
      "connect:spread": [2],
    },
  },
  disconnect: {
    before: async (name) => {
      await create(name)
      await run(name, "--network", network(name), "-p", "127.0.0.1::80")
      await ok("network", "connect", "home", name)
    },
    act: (name) => docker("network", "disconnect", network(name), name),
    steps: {
      "disconnect:published": [1, 2],
      "disconnect:unlinked": [1, 2],
      "disconnect:made": [1, 2],
      "disconnect:recorded": [1],
      "disconnect:spread": [1],
    },
  },
  "port add": {
    before: (name) => run(name),
    act: (name) => sloop("port", "add", name, "127.0.0.1::80"),
    steps: { "ports:made": [1], "ports:recorded": [1] },
  },
  "start on two networks": {
    before: async (name) => {
      await create(name)
      const flags = ["--network", network(name), "--network", "home", "-p", "127.0.0.1::80"]
      await ok("create", "--name", name, ...flags, ...sleeper)
    },
    act: (name) => docker("start", name),
    steps: { "start:joined": [2], "start:intended": [2], "start:launched": [2], "start:recorded": [2] },
  },
  "stop on two networks": {
    before: async (name) => {
      await create(name)
      await run(name, "--network", network(name), "--network", "home", "-p", "127.0.0.1::80")
    },
    act: (name) => docker("stop", "-t", "0", name),
    steps: { "exit:recorded": [2], "exit:left": [2] },
  },
}

const root = join(import.meta.dir, "..", "..", "src")

test("each step of networks is killed at", () => {
  const files = ["engine/networking", "network", "network/containers"].flatMap((room) =>
    readdirSync(join(root, room))
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .map((file) => readFileSync(join(root, room, file), "utf8")),
  )
  const named = files.flatMap((text) =>
    [...text.matchAll(/crashPoint\("([^"]+)"\)/g)].map((match) => match[1] ?? ""),
  )
  const covered = new Set(Object.values(verbs).flatMap(({ steps }) => Object.keys(steps)))
  expect(named.filter((step) => !covered.has(step))).toEqual([])
})

const addresses = (): string[] => {
  const { stdout } = spawnSync("ip", ["-o", "-4", "address"], { encoding: "utf8" })
  return stdout.split("\n").filter((line) => line.includes(` 10.${block}.`))
}
const interfaces = async (name: string): Promise<string[]> =>
  (await docker("exec", name, "ls", "/sys/class/net")).stdout
    .split("\n")
    .filter((link) => /^\w+\d$/.test(link))

interface Inspected {
  NetworkSettings: { Networks: Record<string, { IPAddress: string; Gateway: string }> }
  State: { Running: boolean }
}
const inspect = async (name: string): Promise<Inspected> => JSON.parse(await ok("inspect", name))[0]

/** The kernel has what the engine says, and nothing else. */
const agrees = async (): Promise<string | undefined> => {
  const names = (await ok("network", "ls", "--filter", "type=custom", "-q")).split("\n").filter(Boolean)
  const bridges = addresses().map((line) => line.split(/\s+/)[1] ?? "")
  const own = names.map((id) => `br-${id}`).toSorted()
  if (bridges.toSorted().join() !== own.join()) return `bridges ${bridges.join()} for networks ${own.join()}`
  let links = 0
  for (const name of (await ok("ps", "--format", "{{.Names}}")).split("\n").filter(Boolean)) {
    const { Networks } = (await inspect(name)).NetworkSettings
    const wanted = Object.values(Networks).map(({ IPAddress }) => IPAddress)
    links += Object.keys(Networks).filter((network) => network !== "bridge").length
    const there = await interfaces(name)
    if (there.length !== wanted.length)
      return `${name} has ${there.join()} for ${Object.keys(Networks).join()}`
    const shown = (await docker("exec", name, "ip", "-o", "-4", "address")).stdout
    for (const address of wanted)
      if (!shown.includes(` ${address}/`)) return `${name} lacks ${address}: ${shown}`
    const hosts = (await docker("exec", name, "cat", "/etc/hosts")).stdout.split("\n")
    const told = hosts.filter((line) => /^(10|172|192)\./.test(line)).map((line) => line.split("\t")[0])
    if (told.toSorted().join() !== wanted.toSorted().join())
      return `${name} has hosts ${told.join()} for ${wanted.join()}`
  }
  const ports = own.flatMap((bridge) =>
    existsSync(`/sys/class/net/${bridge}/brif`) ? readdirSync(`/sys/class/net/${bridge}/brif`) : [],
  )
  // A pool of prepared namespaces may stand ready on each.
  if (ports.length < links || ports.length > links + 16 * own.length)
    return `${ports.length} links on bridges for ${links} endpoints`
  return undefined
}

const whole = async (): Promise<void> => {
  let last: string | undefined
  await eventually(
    "networks are whole",
    async () => {
      last = await agrees()
      return last === undefined
    },
    8000,
  ).catch(() => {
    throw new Error(`${last}\n${ground.engine.daemonLog().split("\n").slice(-15).join("\n")}`)
  })
}

const serves = async (name: string): Promise<boolean> => {
  const published = await docker("port", name, "80")
  if (published.code !== 0) return true
  const url = `http://${published.stdout.split("\n")[0]}/hostname`
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1000) })).ok
  } catch {
    return false
  }
}

/** A test that failed must not make those after it fail. */
const clear = async (): Promise<void> => {
  for (const name of (await ok("ps", "-a", "--format", "{{.Names}}")).split("\n"))
    if (name.startsWith("nv-")) await docker("rm", "-f", name)
  for (const name of (await ok("network", "ls", "--format", "{{.Name}}")).split("\n"))
    if (name.startsWith("net-")) await docker("network", "rm", name)
}

let count = 0
for (const [verb, { before, act, steps }] of Object.entries(verbs)) {
  for (const [step, allowed] of Object.entries(steps)) {
    test(`${verb}, killed at ${step}`, async () => {
      const name = `nv-${++count}`
      await clear()
      await before?.(name)
      await ground.dieAt(step, () => act(name))
      await answered()
      await ground.bystanderLives()
      await whole()
      if ((await ground.stateOf(name)) !== "") {
        const { NetworkSettings, State } = await inspect(name)
        expect(allowed).toContain(Object.keys(NetworkSettings.Networks).length)
        if (State.Running) await eventually(`${name} serves by its published port`, () => serves(name))
        // Whatever came of it, the network can be joined and left.
        if (!State.Running) await ok("start", name)
        const on = Object.keys(NetworkSettings.Networks)
        if (await docker("network", "inspect", network(name)).then(({ code }) => code === 0)) {
          if (on.includes(network(name))) await ok("network", "disconnect", network(name), name)
          else await ok("network", "connect", network(name), name)
        }
        await whole()
        await ok("rm", "-f", name)
      }
      await docker("network", "rm", network(name))
      await whole()
      // The subnet is free again.
      await create("again")
      await ok("network", "rm", network("again"))
      await whole()
    }, 60_000)
  }
}
