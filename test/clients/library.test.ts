// The library's main verbs against dockerd 20.10 and Sloop alike: what it gives is the same.
import { afterAll, expect } from "bun:test"
import { startDocker } from "../../bench/harness/peers.ts"
import { connect, type Engine } from "../../src/client/library.ts"
import { startEngine } from "../fixtures/engine.ts"
import { missing, proves } from "./clients.ts"

const here = missing("Sloop's library") === undefined
const sloop = here ? await startEngine() : undefined
const docker = here ? await startDocker({ networked: false }) : undefined
afterAll(async () => {
  await docker?.close()
  await sloop?.close()
}, 90_000)

/** Runs the same against both, and expects both to give what is right. */
const alike = (right: unknown, work: (engine: Engine) => Promise<unknown>) => async (): Promise<void> => {
  for (const [name, socket] of [
    ["dockerd", docker?.socket],
    ["sloop", sloop?.socket],
  ]) {
    if (socket === undefined) throw new Error(`${name} did not start`)
    await using engine = await connect({ host: `unix://${socket}` })
    expect([name, await work(engine)]).toEqual([name, right])
  }
}

const network = "none"
const asleep = { image: "busybox", command: ["sleep", "1000"], network }

/** The status with which a call is refused. */
const statusOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "done",
    (error: { status?: number; kind?: string }) => [error.status, error.kind],
  )

proves(
  "Sloop's library",
  "the version that both know is agreed on",
  alike(true, async (engine) => {
    const { ApiVersion } = await engine.version()
    const { OSType } = await engine.info()
    // The library speaks the engine's version, or its own when that is older.
    return OSType === "linux" && Number(engine.apiVersion.split(".")[1]) <= Number(ApiVersion.split(".")[1])
  }),
)

proves(
  "Sloop's library",
  "run, logs, wait, inspect, remove",
  alike(
    {
      exitCode: 3,
      said: { stdout: "one\ntwo\n", stderr: "bad\n" },
      tail: "two\n",
      state: ["exited", 3],
      name: "/lib-run",
      labels: { made: "here" },
      gone: [404, "not-found"],
    },
    async (engine) => {
      const container = await engine.containers.run({
        image: "busybox",
        name: "lib-run",
        labels: { made: "here" },
        env: { WORD: "two" },
        command: ["sh", "-c", "echo one; sleep 0.05; echo bad >&2; sleep 0.05; echo $WORD; exit 3"],
        network,
      })
      const said = { stdout: "", stderr: "" }
      for await (const { stream, text } of container.logs({ follow: true })) said[stream] += text
      const exitCode = await container.wait()
      let tail = ""
      for await (const { text } of container.logs({ tail: 1 })) tail += text
      const { State, Name, Config } = await container.inspect()
      await container.remove()
      return {
        exitCode,
        said,
        tail,
        state: [State.Status, State.ExitCode],
        name: Name,
        labels: Config.Labels,
        gone: await statusOf(container.inspect()),
      }
    },
  ),
)

proves(
  "Sloop's library",
  "stop, start, kill, pause, restart, rename, twice where it changes nothing",
  alike(
    ["running", "paused", "running", "exited", "running", "running", "/lib-renamed", [409, "conflict"], 137],
    async (engine) => {
      await using container = await engine.containers.run({ ...asleep, name: "lib-states" })
      await using other = await engine.containers.create({ ...asleep, name: "lib-other" })
      const seen: unknown[] = []
      const look = async () => seen.push((await container.inspect()).State.Status)
      await container.start()
      await look()
      await container.pause()
      await look()
      await container.unpause()
      await look()
      await container.stop({ timeout: 0 })
      await container.stop({ timeout: 0 })
      await look()
      await container.start()
      await look()
      await container.restart({ timeout: 0 })
      await look()
      await container.rename("lib-renamed")
      seen.push((await container.inspect()).Name, await statusOf(other.rename("lib-renamed")))
      await container.kill()
      seen.push(await container.wait())
      return seen
    },
  ),
)

proves(
  "Sloop's library",
  "exec with input, errors and exit codes; top; stats",
  alike(
    [{ exitCode: 4, stdout: "fed\n/tmp\nA=b\n", stderr: "no\n" }, 126, ["sleep 1000"], true],
    async (engine) => {
      await using container = await engine.containers.run(asleep)
      const result = await container.exec(["sh", "-c", "cat; pwd; env | grep ^A=; echo no >&2; exit 4"], {
        input: "fed\n",
        workingDir: "/tmp",
        env: { A: "b" },
      })
      const { exitCode } = await container.exec(["/etc/passwd"]).catch(() => ({ exitCode: 126 }))
      const processes = await container.top()
      let measured = false
      for await (const { memory_stats } of container.stats()) {
        measured = (memory_stats.usage ?? 0) > 0
        break
      }
      return [result, exitCode, processes.map(({ CMD, COMMAND }) => CMD ?? COMMAND), measured]
    },
  ),
)

proves(
  "Sloop's library",
  "attach before the start, and input until its end",
  alike(["read: hello\n", 0], async (engine) => {
    await using container = await engine.containers.create({
      image: "busybox",
      command: ["sh", "-c", "read line; echo read: $line"],
      stdin: true,
      network,
    })
    const { output, write, end } = await container.attach()
    await container.start()
    await write("hello\n")
    end()
    let text = ""
    for await (const chunk of output) text += chunk.text
    return [text, await container.wait()]
  }),
)

proves(
  "Sloop's library",
  "archives in and out",
  alike(["packed", "packed"], async (engine) => {
    await using container = await engine.containers.run(asleep)
    const archive = async function* () {
      yield await new Bun.Archive({ "in/file": "packed" }).bytes()
    }
    await container.putArchive("/tmp", archive())
    const { stdout } = await container.exec(["cat", "/tmp/in/file"])
    const chunks: Uint8Array[] = []
    for await (const bytes of container.getArchive("/tmp/in/file")) chunks.push(bytes)
    const files = await new Bun.Archive(Buffer.concat(chunks)).files()
    return [stdout, await files.get("file")?.text()]
  }),
)

proves(
  "Sloop's library",
  "images: list, tag, inspect, save, load, build, remove",
  alike(
    { named: ["lib:1"], built: ["A=lib", "made"], loaded: true, gone: [404, "not-found"] },
    async (engine) => {
      await engine.images.tag("busybox", "lib", "1")
      const [image] = await engine.images.list({ filters: { reference: ["lib:1"] } })
      const chunks: Uint8Array[] = []
      for await (const bytes of engine.images.save(["lib:1"])) chunks.push(bytes)
      await engine.images.remove("lib:1")
      const archive = async function* () {
        yield* chunks
      }
      let loaded = false
      for await (const { stream } of engine.images.load(archive()))
        loaded ||= stream?.includes("lib:1") ?? false
      const context = async function* () {
        yield await new Bun.Archive({
          Dockerfile: "FROM busybox\nARG WHO\nENV A=$WHO\nCOPY file /file\nRUN test -s /file\n",
          file: "made",
        }).bytes()
      }
      const lines: string[] = []
      const build = engine.images.build(context(), { tag: "lib:2", buildArguments: { WHO: "lib" } })
      for await (const { stream } of build) lines.push(stream ?? "")
      if (!lines.join("").includes("Successfully tagged lib:2")) throw new Error(lines.join(""))
      const { Config } = await engine.images.inspect("lib:2")
      await using container = await engine.containers.run({ ...asleep, image: "lib:2" })
      const { stdout } = await container.exec(["cat", "/file"])
      await container.remove({ force: true })
      for (const name of ["lib:1", "lib:2"]) await engine.images.remove(name)
      return {
        named: image?.RepoTags?.toSorted(),
        built: [Config.Env?.find((one) => one.startsWith("A=")), stdout],
        loaded,
        gone: await statusOf(engine.images.inspect("lib:2")),
      }
    },
  ),
)

proves(
  "Sloop's library",
  "networks and volumes: create, inspect, use, remove",
  alike(
    {
      network: ["lib-net", "10.213.7.0/24"],
      joined: ["lib-net"],
      data: "kept\n",
      busy: [409, "conflict"],
      left: [],
    },
    async (engine) => {
      const pool = (Subnet: string) => ({ IPAM: { Config: [{ Subnet }] } })
      await engine.networks.create("lib-net", pool("10.213.7.0/24"))
      const volume = await engine.volumes.create("lib-volume", { Labels: { a: "b" } })
      const { Name, IPAM } = await engine.networks.inspect("lib-net")
      const container = await engine.containers.run({ ...asleep, binds: [`${volume.Name}:/data`] })
      await engine.networks.disconnect("none", container.id)
      await engine.networks.connect("lib-net", container.id, ["alias"])
      await container.exec(["sh", "-c", "echo kept > /data/file"])
      const joined = Object.keys((await container.inspect()).NetworkSettings.Networks)
      const busy = await statusOf(engine.volumes.remove("lib-volume"))
      await engine.networks.disconnect("lib-net", container.id, { force: true })
      await container.remove({ force: true })
      const reader = await engine.containers.run({ ...asleep, binds: ["lib-volume:/data:ro"] })
      const { stdout } = await reader.exec(["cat", "/data/file"])
      await reader.remove({ force: true })
      await engine.volumes.remove("lib-volume")
      await engine.networks.remove("lib-net")
      return {
        network: [Name, IPAM.Config?.[0]?.Subnet],
        joined,
        data: stdout,
        busy,
        left: await engine.volumes.list({ filters: { name: ["lib-volume"] } }),
      }
    },
  ),
)

proves(
  "Sloop's library",
  "events with filters, live and past",
  alike(
    [
      ["create", "start", "die", "destroy"],
      ["create", "start", "die", "destroy"],
    ],
    async (engine) => {
      const since = Math.floor(Date.now() / 1000) - 1
      const mark = `lib-${process.pid}`
      const filters = { type: ["container"], label: [`mark=${mark}`] }
      const live: (string | undefined)[] = []
      const stop = new AbortController()
      const listening = (async () => {
        for await (const { Action } of engine.events({ filters, signal: stop.signal })) {
          live.push(Action)
          if (Action === "destroy") return
        }
      })()
      await Bun.sleep(200)
      const container = await engine.containers.run({
        ...asleep,
        command: ["true"],
        labels: { mark },
      })
      await container.wait()
      await container.remove()
      await listening
      const past: (string | undefined)[] = []
      for await (const { Action } of engine.events({
        filters,
        since,
        until: Math.floor(Date.now() / 1000) + 1,
      }))
        past.push(Action)
      return [live, past]
    },
  ),
)
