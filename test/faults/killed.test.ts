// Monitors, launcher and daemon are killed: nobody is forgotten, nothing is lost, the next run works.
import { afterAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { processesOf } from "../fixtures/processes.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok } = engine

const parentOf = (pid: string): number =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
const pidOf = (id: string) => ok("inspect", "-f", "{{.State.Pid}}", id)
const launcherPid = (): number => {
  const found = processesOf(engine).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, "utf8") === "sloop-launcher\n"
    } catch {
      return false
    }
  })
  if (found === undefined) throw new Error("no launcher")
  return found
}
/** What a client that runs on has printed. */
const collect = (child: ReturnType<typeof engine.spawnDocker>) => {
  const output = { text: "", code: undefined as number | null | undefined }
  child.stdout?.on("data", (chunk: Buffer) => {
    output.text += chunk
  })
  child.stderr?.on("data", (chunk: Buffer) => {
    output.text += chunk
  })
  child.once("close", (code) => {
    output.code = code
  })
  return output
}

test("a killed monitor's container is dead, with a stated reason, and starts again", async () => {
  const id = await ok("run", "-d", "-p", "127.0.0.1::80", "-v", "kept:/v", "busybox", "sleep", "1000")
  const init = await pidOf(id)
  const waiting = collect(engine.spawnDocker("wait", id))
  const attached = collect(engine.spawnDocker("attach", id))
  await Bun.sleep(200)
  process.kill(parentOf(init), "SIGKILL")
  await eventually(
    "it is known to be dead",
    async () => (await ok("inspect", "-f", "{{.State.Status}}", id)) === "exited",
  )
  expect(await ok("inspect", "-f", "{{.State.ExitCode}} {{.State.Error}} {{.State.Pid}}", id)).toBe(
    "137 the container's monitor was killed 0",
  )
  await eventually(
    "its waiters and clients were told",
    () => waiting.code !== undefined && attached.code !== undefined,
  )
  expect(waiting.text).toBe("137\n")
  await eventually("its process is gone", () => {
    try {
      return /^State:\s+Z/m.test(readFileSync(`/proc/${init}/status`, "utf8"))
    } catch {
      return true
    }
  })
  await ok("start", id)
  expect(await ok("exec", id, "echo", "again")).toBe("again")
  await ok("rm", "-f", id)
  await ok("volume", "rm", "kept")
})

test("the launcher is killed: containers live, and what comes next works at once", async () => {
  const id = await ok("run", "-d", "busybox", "sh", "-c", "while :; do echo tick; sleep 0.1; done")
  for (let round = 0; round < 4; round++) {
    const before = launcherPid()
    process.kill(before, "SIGKILL")
    // The pool of namespaces died with it; each of these would have taken one.
    const runs = await Promise.all(
      ["bridge", "none", "host", "bridge"].map((network) =>
        docker("run", "--rm", "--network", network, "busybox", "echo", network),
      ),
    )
    expect(runs.map(({ code, stdout, stderr }) => [code, stdout, stderr])).toEqual(
      ["bridge", "none", "host", "bridge"].map((network) => [0, `${network}\n`, ""]),
    )
    expect(launcherPid()).not.toBe(before)
    expect(await ok("exec", id, "echo", "alive")).toBe("alive")
  }
  const published = await ok("run", "-d", "-p", "127.0.0.1::80", "busybox", "sleep", "100")
  process.kill(launcherPid(), "SIGKILL")
  expect(await ok("restart", "-t", "0", published)).toBe(published)
  expect((await docker("cp", `${id}:/etc/hosts`, "-")).code).toBe(0)
  await ok("rm", "-f", id, published)
}, 60_000)

test("the daemon is killed with clients attached: streams, logs and exit codes are whole after the restart", async () => {
  const talker = await ok(
    "run",
    "-d",
    "-i",
    "--name",
    "talker",
    "busybox",
    "sh",
    "-c",
    "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; read x; echo got $x; exit 5",
  )
  const quitter = await ok("run", "-d", "busybox", "sh", "-c", "sleep 0.7; echo last words; exit 7")
  const frozen = await ok("run", "-d", "busybox", "sleep", "1000")
  await ok("pause", frozen)
  const clients = ["attach", "logs"].map((verb) =>
    collect(engine.spawnDocker(verb, ...(verb === "logs" ? ["-f"] : []), talker)),
  )
  const exec = collect(engine.spawnDocker("exec", talker, "sleep", "1000"))
  await Bun.sleep(300)
  await engine.kill9()
  await eventually(
    "the clients notice",
    () => clients.every(({ code }) => code !== undefined) && exec.code !== undefined,
  )
  await Bun.sleep(900)
  await engine.start()
  expect(await ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", quitter)).toBe("exited 7")
  expect(await ok("logs", quitter)).toBe("last words")
  expect(await ok("inspect", "-f", "{{.State.Status}}", talker, frozen)).toBe("running\npaused")
  const attached = engine.spawnDocker("attach", talker)
  const output = collect(attached)
  await eventually("the stream goes on", () => output.text.includes("line 399"))
  attached.stdin?.end("word\n")
  await eventually("the client ends with the container", () => output.code !== undefined)
  expect(output.code).toBe(5)
  expect(output.text).toContain("got word")
  expect(await ok("logs", talker)).toBe(
    [...Array.from({ length: 400 }, (_, n) => `line ${n}`), "got word"].join("\n"),
  )
  await ok("unpause", frozen)
  await ok("rm", "-f", talker, quitter, frozen)
}, 60_000)

test("a volley of kills of everything leaves a working engine", async () => {
  const ids = await Promise.all(Array.from({ length: 4 }, () => ok("run", "-d", "busybox", "sleep", "1000")))
  const [first = "", second = "", third = ""] = ids
  process.kill(parentOf(await pidOf(first)), "SIGKILL")
  process.kill(Number(await pidOf(second)), "SIGKILL")
  process.kill(launcherPid(), "SIGKILL")
  await engine.kill9()
  await engine.start()
  const states = async (...some: string[]) =>
    (await ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", ...some)).split("\n")
  expect(await states(first, second, third)).toEqual(["exited 137", "exited 137", "running 0"])
  expect(await ok("run", "--rm", "busybox", "echo", "well")).toBe("well")
  await ok("rm", "-f", ...ids)
}, 60_000)
