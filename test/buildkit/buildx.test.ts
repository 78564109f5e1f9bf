// An unmodified buildx with the docker driver: builds, what they tell, and what they leave.
import { afterAll, beforeAll, describe, expect } from "bun:test"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { proves } from "../clients/clients.ts"
import { eventually, startEngine, type TestEngine } from "../fixtures/engine.ts"
import { type DockerWithPlugins, dockerWithPlugins, findPlugin } from "./plugins.ts"

const buildx = findPlugin("buildx")
const timeout = 60_000

let engine: TestEngine
let docker: DockerWithPlugins

/** Writes files into a directory of their own beneath the engine's. */
function folder(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = join(engine.work, name)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(directory, path, ".."), { recursive: true })
    writeFileSync(join(directory, path), content)
  }
  return directory
}

const build = (...words: readonly string[]) => docker.ok("buildx", "build", "--progress", "plain", ...words)

describe.skipIf(buildx === undefined)("buildx", () => {
  beforeAll(async () => {
    engine = await startEngine()
    docker = dockerWithPlugins(engine, { buildx })
  }, timeout)
  afterAll(async () => {
    await engine?.close()
  }, timeout)

  proves("buildx", "knows the engine as a builder", async () => {
    expect(await docker.ok("buildx", "ls")).toMatch(/default\s+running\s+v\d+\.\d+\.\d+\+sloop/)
    const text = await docker.ok("buildx", "inspect")
    expect(text).toContain("Driver: docker")
    expect(text).toMatch(/Platforms:\s+linux\//)
  })

  proves(
    "buildx",
    "builds, names, tells ids and metadata; the image runs",
    async () => {
      const context = folder("simple", {
        Dockerfile:
          'FROM busybox\nARG WHO=nobody\nRUN echo hello $WHO > /said\nCOPY file /copied\nCMD ["cat", "/said", "/copied"]\n',
        file: "from the context\n",
      })
      const iid = join(context, "..", "iid")
      const meta = join(context, "..", "meta")
      const words = [
        "-t",
        "one:1",
        "-t",
        "one:2",
        "--build-arg",
        "WHO=world",
        "--iidfile",
        iid,
        "--metadata-file",
        meta,
      ]
      const text = await build(...words, context)
      for (const line of [
        "[internal] load build definition from Dockerfile",
        "[internal] load build context",
        "[2/3] RUN echo hello world > /said",
        "naming to docker.io/library/one:2",
      ])
        expect(text).toContain(line)
      expect(await engine.ok("run", "--rm", "one:2")).toBe("hello world\nfrom the context")
      const id = await engine.ok("inspect", "-f", "{{.Id}}", "one:1")
      expect(readFileSync(iid, "utf8")).toBe(id)
      expect(JSON.parse(readFileSync(meta, "utf8"))).toMatchObject({
        "containerimage.config.digest": id,
        "image.name": "docker.io/library/one:1,docker.io/library/one:2",
      })
      const again = await build("-t", "one:1", "--build-arg", "WHO=world", context)
      expect(again.match(/CACHED/g)?.length).toBeGreaterThanOrEqual(2)
      expect(again).not.toContain("DONE 0.1s\n\n#8")
    },
    timeout,
  )

  proves(
    "buildx",
    "only what changed travels again",
    async () => {
      const files = Object.fromEntries(
        Array.from({ length: 300 }, (_, index) => [`d/f${index}`, `${index}`.repeat(2000)]),
      )
      const context = folder("many", { Dockerfile: "FROM scratch\nCOPY d /d\n", ...files })
      const sent = (text: string) => [...text.matchAll(/transferring context: ([\d.]+)([kM]?)B/g)].at(-1)
      const [, first = "", unit] = sent(await build(context)) ?? []
      expect([unit, Number(first) > 1]).toEqual(["M", true])
      writeFileSync(join(context, "d/f7"), "changed")
      const [, second = "", then] = sent(await build(context)) ?? []
      expect(then).not.toBe("M")
      expect(Number(second)).toBeLessThan(100)
    },
    timeout,
  )

  proves(
    "buildx",
    "what .dockerignore names stays away",
    async () => {
      const context = folder("ignoring", {
        Dockerfile: "FROM busybox\nCOPY . /all\nRUN find /all -type f | sort\n",
        ".dockerignore": "*.log\n!keep.log\nsecret/\n",
        "a.log": "",
        "keep.log": "",
        "secret/x": "",
        b: "",
      })
      const text = await build("--no-cache", context)
      expect([...text.matchAll(/ (\/all\/\S+)/g)].map(([, path]) => path)).toEqual([
        "/all/.dockerignore",
        "/all/Dockerfile",
        "/all/b",
        "/all/keep.log",
      ])
    },
    timeout,
  )

  proves(
    "buildx",
    "a failing step shows its output, its line and its exit code",
    async () => {
      const context = folder("failing", {
        Dockerfile: "FROM busybox\nENV a=b\nRUN echo some words; exit 7\nENV c=d\n",
      })
      const { code, stderr } = await docker.run(["buildx", "build", "--progress", "plain", context])
      expect(code).toBe(1)
      expect(stderr).toContain("some words")
      expect(stderr).toContain("Dockerfile:3\n")
      expect(stderr).toContain("   3 | >>> RUN echo some words; exit 7\n")
      expect(stderr).toContain(
        'ERROR: failed to solve: process "/bin/sh -c echo some words; exit 7" did not complete successfully: exit code: 7',
      )
      const missing = folder("missing", { Dockerfile: "FROM busybox\nCOPY nothing /\n" })
      const absent = await docker.run(["buildx", "build", missing])
      expect(absent.code).toBe(1)
      expect(absent.stderr).toContain('"/nothing": not found')
      const odd = folder("odd", { Dockerfile: "FROM busybox\nRUNN x\n" })
      const unknown = await docker.run(["buildx", "build", odd])
      expect(unknown.stderr).toContain("unknown instruction: RUNN")
      expect(unknown.stderr).toContain("   2 | >>> RUNN x\n")
    },
    timeout,
  )

  proves(
    "buildx",
    "secrets and agents are there for a step, and nowhere after it",
    async () => {
      const context = folder("secretive", {
        Dockerfile: [
          "FROM busybox",
          "RUN --mount=type=secret,id=token md5sum /run/secrets/token > /sum",
          "RUN --mount=type=secret,id=token,env=TOKEN echo $TOKEN | md5sum > /sum2",
          "RUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo agent > /agent",
          "",
        ].join("\n"),
      })
      const secret = join(context, "..", "token")
      writeFileSync(secret, "very secret")
      const agentPath = join(engine.work, "agent.sock")
      const agent = createServer((socket) => {
        socket.on("error", () => {})
        socket.on("data", () => socket.write(Buffer.from([0, 0, 0, 5, 12, 0, 0, 0, 0])))
      }).listen(agentPath)
      try {
        await build(
          "-t",
          "secretive",
          "--secret",
          `id=token,src=${secret}`,
          "--ssh",
          `default=${agentPath}`,
          context,
        )
      } finally {
        agent.close()
      }
      expect(await engine.ok("run", "--rm", "secretive", "cat", "/agent")).toBe("agent")
      expect(await engine.ok("history", "--no-trunc", "secretive")).not.toContain("very secret")
      expect(await engine.ok("run", "--rm", "secretive", "sh", "-c", "ls /run 2>&1 || true")).not.toContain(
        "secrets",
      )
      const { code, stderr } = await docker.run(["buildx", "build", "--no-cache", context])
      expect([code, stderr]).toEqual([1, expect.stringContaining("token")])
    },
    timeout,
  )

  proves(
    "buildx",
    "warnings are counted, and --call answers with its exit code",
    async () => {
      const context = folder("linted", {
        Dockerfile: "# What is built\nFROM busybox as base\nARG A=1\nFROM base AS final\n",
      })
      expect(await build(context)).toContain("1 warning found")
      const check = await docker.run(["buildx", "build", "--check", context])
      expect([check.code, check.stdout]).toEqual([1, expect.stringContaining("FromAsCasing")])
      expect(check.stdout).toContain("   2 | >>> FROM busybox as base")
      expect(await docker.ok("buildx", "build", "--call", "targets", context)).toMatch(
        /base.*\n.*final \(default\)/,
      )
      expect(await docker.ok("buildx", "build", "--call", "outline", context)).toContain("TARGET: final")
      const json = await docker.run(["buildx", "build", "--call", "check,format=json", context])
      expect(JSON.parse(json.stdout)).toMatchObject({ warnings: [{ ruleName: "FromAsCasing" }] })
    },
    timeout,
  )

  proves(
    "buildx",
    "rawjson is a line of JSON for each thing that happens",
    async () => {
      const context = folder("raw", { Dockerfile: "FROM busybox\nRUN echo raw\n" })
      const { stderr } = await docker.run(["buildx", "build", "--no-cache", "--progress", "rawjson", context])
      const lines = stderr
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { vertexes?: { name: string }[]; logs?: { data: string }[] })
      const names = lines.flatMap(({ vertexes = [] }) => vertexes.map(({ name }) => name))
      expect(names).toContain("[2/2] RUN echo raw")
      const said = lines.flatMap(({ logs = [] }) =>
        logs.map(({ data }) => Buffer.from(data, "base64").toString()),
      )
      expect(said.join("")).toContain("raw\n")
    },
    timeout,
  )

  proves(
    "buildx",
    "Ctrl-C ends what runs, and leaves nothing",
    async () => {
      const context = folder("endless", { Dockerfile: "FROM busybox\nRUN echo begun; sleep 98765\n" })
      const child = spawn("docker", ["buildx", "build", "--progress", "plain", context], {
        env: { ...process.env, ...docker.env },
        stdio: ["ignore", "ignore", "pipe"],
      })
      let told = ""
      child.stderr.on("data", (chunk) => {
        told += String(chunk)
      })
      await eventually("the step runs", () => told.includes(" begun"))
      expect(await docker.ok("buildx", "history", "ls")).toMatch(/endless\s+Running/)
      expect(await docker.ok("buildx", "history", "ls", "--filter", "status=running")).toContain("endless")
      expect(await docker.ok("buildx", "history", "inspect")).toMatch(/Duration:.*\(running\)/)
      child.kill("SIGINT")
      await once(child, "exit")
      expect(told).toContain("CANCELED")
      await eventually(
        "nothing of the step runs",
        () => !engine.leftovers().some((thing) => thing.includes("98765")),
      )
      expect(await docker.ok("buildx", "history", "inspect")).toMatch(/Status:\s+Canceled/)
    },
    timeout,
  )

  proves(
    "buildx",
    "history: what was built, how it went, what it said",
    async () => {
      const context = folder("past", { Dockerfile: "FROM busybox AS stage\nRUN echo past words\n" })
      await build("--no-cache", "--target", "stage", context)
      const list = await docker.ok("buildx", "history", "ls")
      expect(list).toMatch(/past \(stage\)\s+Completed/)
      const ref = /^(\S+)\s+past \(stage\)/m.exec(list)?.[1] ?? ""
      expect(await docker.ok("buildx", "history", "logs", ref)).toContain("past words")
      const inspected = await docker.ok("buildx", "history", "inspect", ref)
      expect(inspected).toMatch(/Target:\s+stage/)
      await engine.restart()
      const gone = await docker.run(["buildx", "history", "logs", ref])
      expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining("is not kept any more")])
      await docker.ok("buildx", "history", "rm", ref)
      expect(await docker.ok("buildx", "history", "ls")).not.toContain(ref)
    },
    timeout,
  )

  proves(
    "buildx",
    "du and prune",
    async () => {
      const context = folder("using", {
        Dockerfile: "FROM busybox\nRUN --mount=type=cache,target=/c echo 1 > /c/1\nRUN echo $RANDOM > /x\n",
      })
      await build("--no-cache", context)
      expect(await docker.ok("buildx", "du", "--verbose")).toContain("RUN echo $RANDOM")
      expect(await docker.ok("buildx", "du", "--filter", "type=exec.cachemount")).toMatch(/^\S+\*\s+true\s/m)
      expect(await docker.ok("buildx", "prune", "--all", "--force")).toMatch(/Total:\s+\S+B/)
      expect(await docker.ok("buildx", "du")).toMatch(/Reclaimable:\s+0B/)
      expect(await build(context)).not.toContain("RUN echo $RANDOM > /x\nCACHED")
    },
    timeout,
  )
})
