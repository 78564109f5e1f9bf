// The daemon for real: dockerode against it, its lock, its recovery, its calm end.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import Docker from "dockerode"
import { eventually, execute, startEngine, type TestEngine } from "../fixtures/engine.ts"

let engine: TestEngine
let docker: Docker

beforeAll(async () => {
  engine = await startEngine()
  docker = new Docker({ socketPath: engine.socket })
}, 60_000)
afterAll(() => engine.close(), 60_000)

const collected = (stream: NodeJS.ReadableStream): { text: string } => {
  const found = { text: "" }
  stream.on("data", (chunk: Buffer) => {
    found.text += chunk.toString()
  })
  return found
}

test("dockerode runs a container and tells its streams apart", async () => {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const out = collected(stdout)
  const err = collected(stderr)
  const [result, container] = (await docker.run(
    "busybox",
    ["sh", "-c", "echo out; echo err >&2; exit 3"],
    [stdout, stderr],
    { Tty: false },
  )) as [{ StatusCode: number }, Docker.Container]
  expect(result.StatusCode).toBe(3)
  expect([out.text, err.text]).toEqual(["out\n", "err\n"])
  await container.remove()
})

test("dockerode's exec has stdin, ends by half-close, and an exit code", async () => {
  const container = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "100"] })
  await container.start()
  const exec = await container.exec({ Cmd: ["cat"], AttachStdin: true, AttachStdout: true })
  const stream = await exec.start({ hijack: true, stdin: true })
  const stdout = new PassThrough()
  const out = collected(stdout)
  docker.modem.demuxStream(stream, stdout, stdout)
  const ended = new Promise<void>((resolve) => stream.once("end", () => resolve()))
  stream.write("through")
  stream.end()
  await ended
  expect(out.text).toBe("through")
  await eventually("the exec has ended", async () => (await exec.inspect()).Running === false)
  expect((await exec.inspect()).ExitCode).toBe(0)
  await container.remove({ force: true })
})

test("a hundred attached clients that vanish leave no descriptor behind", async () => {
  const container = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "100"] })
  await container.start()
  const descriptors = () => readdirSync(`/proc/${engine.pid()}/fd`).length
  const before = descriptors()
  const head = `POST /containers/${container.id}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
  const clients = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const client = connect(engine.socket)
      client.write(head)
      await new Promise((resolve) => client.once("data", resolve))
      return client
    }),
  )
  expect(descriptors()).toBeGreaterThanOrEqual(before + 100)
  for (const client of clients) client.destroy()
  await eventually("the descriptors are closed", async () => descriptors() <= before + 5)
  await container.remove({ force: true })
})

test("a second daemon on the same data root is refused in one sentence and changes nothing", async () => {
  const main = join(import.meta.dir, "..", "..", "src", "main.ts")
  const second = await execute([
    process.execPath,
    main,
    "daemon",
    "--data-root",
    join(engine.root, "data"),
    "--run-root",
    join(engine.root, "other"),
  ])
  expect(second.code).toBe(75)
  expect(second.stderr).toBe(
    `sloop daemon: another Sloop daemon (process ${engine.pid()}) uses the data root ${join(engine.root, "data")}: stop it, or give this one another --data-root\n`,
  )
  expect((await docker.ping()).toString()).toBe("OK")
})

test("containers outlive the daemon's end and its murder", async () => {
  const container = await docker.createContainer({
    Image: "busybox",
    Cmd: ["sleep", "100"],
    name: "outlives",
  })
  await container.start()
  const { Pid } = (await container.inspect()).State
  await engine.restart()
  expect((await container.inspect()).State).toMatchObject({ Running: true, Pid })
  await engine.kill9()
  expect(readFileSync(`/proc/${Pid}/comm`, "utf8")).toBe("sleep\n")
  await engine.start()
  expect((await container.inspect()).State).toMatchObject({ Running: true, Pid })
  await container.remove({ force: true })
}, 30_000)

test("the environment of the daemon is clean of Bun's own switches", () => {
  const variables = readFileSync(`/proc/${engine.pid()}/environ`, "utf8")
  expect(variables).not.toContain("BUN_BE_BUN")
})

test("told so, the daemon stops its containers with it", async () => {
  const own = await startEngine({ flags: ["--stop-containers-on-exit"] })
  try {
    await own.ok("run", "-d", "--name", "goes", "--stop-signal", "KILL", "busybox", "sleep", "100")
    await own.restart()
    expect(await own.ok("inspect", "-f", "{{.State.Status}}", "goes")).toBe("exited")
  } finally {
    await own.close()
  }
}, 60_000)
