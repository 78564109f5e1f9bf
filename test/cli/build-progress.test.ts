// `sloop build` over a builder that plays what is written down: what it asks for, how it draws, what it says in the end.
import { afterAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type BuildEvent, BuildFailure } from "../../src/build/build.ts"
import { BUILT_ID, createFakeBuilder } from "../api/fake-builder.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { serve } from "../api/serve.ts"
import { execute, program, type RunOptions } from "../fixtures/engine.ts"

const work = mkdtempSync("/tmp/sloop-build-progress-")
afterAll(() => rmSync(work, { recursive: true, force: true }))
const context = join(work, "context")
mkdirSync(join(context, "sub"), { recursive: true })
writeFileSync(join(context, "Dockerfile"), "FROM busybox\nRUN make\n")
writeFileSync(join(context, "kept"), "kept")
writeFileSync(join(context, "sub", "left"), "left out")
writeFileSync(join(context, ".dockerignore"), "sub\n")

type Play = NonNullable<Parameters<typeof createFakeBuilder>[0]>
const at = 1_700_000_000_000

const step = (digest: string, name: string, more: object = {}): BuildEvent => ({
  type: "vertex",
  vertex: { digest, inputs: [], name, cached: false, error: "", startedAt: at, ...more },
})
const done = (digest: string, name: string, more: object = {}) =>
  step(digest, name, { completedAt: at + 300, ...more })
const log = (vertex: string, text: string): BuildEvent => ({
  type: "log",
  vertex,
  stream: 1,
  bytes: Buffer.from(text),
  at: at + 123,
})

const usual: Play = async (_request, _options, report) => {
  report(step("a", "[internal] load build definition from Dockerfile"))
  report({
    type: "status",
    vertex: "a",
    id: "transferring dockerfile:",
    current: 31,
    total: 0,
    at,
    startedAt: at,
    completedAt: at,
  })
  report(done("a", "[internal] load build definition from Dockerfile", { completedAt: at }))
  report(done("b", "[1/3] FROM docker.io/library/busybox", { cached: true }))
  report(step("c", "[2/3] RUN make"))
  report(log("c", "one\ntw"))
  report(log("c", "o\nthree"))
  report(done("c", "[2/3] RUN make"))
  return { response: new Map([["image.name", "docker.io/library/x:latest"]]), imageId: BUILT_ID }
}

async function build(play: Play, words: readonly string[], options: RunOptions = {}) {
  const builder = createFakeBuilder(play)
  await using api = await serve(createFakeEngine(), builder)
  const output = await execute([...program(), "build", ...words], {
    ...options,
    env: {
      DOCKER_HOST: `unix://${api.socket}`,
      DOCKER_CONFIG: join(work, "config"),
      BUILDKIT_PROGRESS: "",
      ...options.env,
    },
  })
  const [request] = builder.requests
  return { ...output, request, builder }
}

test("plain lines are BuildKit's", async () => {
  const { code, stderr, stdout, request } = await build(usual, ["-t", "x", context])
  expect([code, stdout]).toEqual([0, ""])
  expect(stderr).toBe(
    [
      "#1 [internal] load build definition from Dockerfile",
      "#1 transferring dockerfile: 31B done",
      "#1 DONE 0.0s",
      "",
      "#2 [1/3] FROM docker.io/library/busybox",
      "#2 CACHED",
      "",
      "#3 [2/3] RUN make",
      "#3 0.123 one",
      "#3 0.123 two",
      "#3 0.300 three",
      "#3 DONE 0.3s",
      "",
      expect.stringMatching(
        /^Built image 5a5a5a5a5a5a docker.io\/library\/x:latest in \d+\.\ds, 1 of 2 steps cached$/,
      ),
      "",
    ].reduce(
      (text, line, index) =>
        `${text}${index === 0 ? "" : "\n"}${typeof line === "string" ? line : stderr.split("\n").at(index)}`,
      "",
    ),
  )
  expect(request?.context).toEqual({ type: "directory", path: context })
})

test("quiet says the id, rawjson buildx's lines, none nothing", async () => {
  const quiet = await build(usual, ["-q", context])
  expect(quiet).toMatchObject({ code: 0, stdout: `${BUILT_ID}\n`, stderr: "" })
  const raw = await build(usual, ["--progress=rawjson", context])
  const lines = raw.stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { vertexes?: { name: string; started: string }[] })
  expect(lines.flatMap(({ vertexes = [] }) => vertexes)[0]).toEqual({
    digest: "a",
    name: "[internal] load build definition from Dockerfile",
    started: "2023-11-14T22:13:20Z",
  } as never)
  expect(await build(usual, ["--progress=none", context])).toMatchObject({ code: 0, stdout: "", stderr: "" })
  const file = join(work, "iid")
  const metadata = join(work, "metadata")
  await build(usual, ["-q", "--iidfile", file, "--metadata-file", metadata, context])
  expect(readFileSync(file, "utf8")).toBe(BUILT_ID)
  expect(JSON.parse(readFileSync(metadata, "utf8"))).toEqual({ "image.name": "docker.io/library/x:latest" })
})

test("a failure shows the step's output, the Dockerfile's lines and the sentence", async () => {
  const { code, stderr } = await build(
    async (_request, _options, report) => {
      report(step("c", "[2/3] RUN make"))
      report(log("c", "no rule\n"))
      report(done("c", "[2/3] RUN make", { error: "process failed" }))
      throw new BuildFailure("invalid", "failed to solve: it broke", {
        vertex: "c",
        place: { first: 2, last: 2 },
        source: Buffer.from("FROM busybox\nRUN make\n"),
      })
    },
    [context],
  )
  expect(code).toBe(1)
  expect(stderr).toBe(
    `#1 [2/3] RUN make
#1 0.123 no rule
#1 ERROR: process failed
------
 > [2/3] RUN make:
0.123 no rule
------
Dockerfile:2
--------------------
   1 |     FROM busybox
   2 | >>> RUN make
   3 |     
--------------------
ERROR: failed to build: failed to solve: it broke
`,
  )
})

test("flags reach the builder, secrets and accounts when they are asked for", async () => {
  writeFileSync(join(work, "secret"), "s3cret")
  mkdirSync(join(work, "config"), { recursive: true })
  writeFileSync(
    join(work, "config", "config.json"),
    JSON.stringify({
      auths: { "reg.example": { auth: Buffer.from("me:pw").toString("base64") } },
      proxies: { default: { httpProxy: "http://p:1" } },
    }),
  )
  const seen: unknown[] = []
  const { code, stderr, request } = await build(
    async (asked, options, report, signal) => {
      for (const id of ["one", "two", "three"]) seen.push(String(await asked.secrets(id, signal)))
      seen.push((await asked.credentials("reg.example", signal))?.username)
      seen.push(await asked.credentials("other.example", signal))
      seen.push(options.attestations, options.exports, options.squash)
      return usual(asked, options, report, signal)
    },
    [
      ...["-t", "x:1", "-t", "y", "--build-arg", "A=1", "--build-arg", "B", "--build-arg", "NONE"],
      ...["--secret", `id=one,src=${join(work, "secret")}`, "--secret", "id=two,env=B", "--label", "l=m"],
      ...["--target", "t", "--platform", "linux/amd64,linux/arm64", "--no-cache", "--no-cache-filter", "s,t"],
      ...["--pull", "--add-host", "h:1.2.3.4", "--network", "host", "--shm-size", "64m", "--squash"],
      ...["--ulimit", "nofile=1:2", "--cgroup-parent", "/p", "--allow", "security.insecure"],
      ...["--cache-from", "u/app:cache", "--cache-from", "type=local,src=c", "--annotation", "index:k=v"],
      ...[
        "--provenance",
        "--sbom=generator=g",
        "-f",
        join(context, "Dockerfile"),
        "--memory",
        "1g",
        "-c",
        "5",
      ],
      ...["--build-context", `other=${work}`, "--build-context", "img=docker-image://alpine", context],
    ],
    { env: { B: "from env", SOURCE_DATE_EPOCH: "5" } },
  )
  expect([code, stderr.split("\n").filter((line) => /error/i.test(line))]).toEqual([0, []])
  expect(seen).toEqual([
    "s3cret",
    "from env",
    "undefined",
    "me",
    undefined,
    new Map([
      ["provenance", new Map()],
      ["sbom", new Map([["generator", "g"]])],
    ]),
    [
      {
        type: "image",
        attributes: new Map([
          ["annotation-index.k", "v"],
          ["name", "docker.io/library/x:1,docker.io/library/y:latest"],
        ]),
      },
    ],
    true,
  ])
  expect(Object.fromEntries(request?.buildArgs ?? [])).toEqual({
    A: "1",
    B: "from env",
    SOURCE_DATE_EPOCH: "5",
    HTTP_PROXY: "http://p:1",
    http_proxy: "http://p:1",
  })
  expect(request).toMatchObject({
    dockerfilePath: "Dockerfile",
    target: "t",
    labels: new Map([["l", "m"]]),
    platforms: [{ architecture: "amd64" }, { architecture: "arm64" }],
    noCache: true,
    noCacheFilter: ["s", "t"],
    pull: true,
    extraHosts: ["h:1.2.3.4"],
    network: "host",
    shmSize: 64 * 1024 * 1024,
    memory: 1024 ** 3,
    cpuShares: 5,
    ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
    cgroupParent: "/p",
    entitlements: ["security.insecure", "network.host"],
    namedContexts: new Map<string, unknown>([
      ["other", { type: "directory", path: work }],
      ["img", { type: "image", reference: "alpine" }],
    ]),
    cacheFrom: [{ type: "registry" }, { type: "local" }],
    face: "builder",
  })
  rmSync(join(work, "config", "config.json"))
}, 20_000)

test("standard input is a Dockerfile or a tar; -f - is the Dockerfile", async () => {
  const text = await build(usual, ["-"], { stdin: "FROM scratch\n" })
  expect([text.code, text.request?.context.type, String(text.request?.dockerfile)]).toEqual([
    0,
    "empty",
    "FROM scratch\n",
  ])
  const given = await build(usual, ["-f", "-", context], { stdin: "FROM other\n" })
  expect([given.request?.context.type, String(given.request?.dockerfile)]).toEqual([
    "directory",
    "FROM other\n",
  ])
  const packed = Bun.spawnSync(["tar", "-C", context, "-czf", "-", "."]).stdout
  let got = Buffer.alloc(0)
  const tar = await build(
    async (request, options, report, signal) => {
      if (request.context.type === "tar")
        for await (const chunk of request.context.bytes) got = Buffer.concat([got, chunk])
      return usual(request, options, report, signal)
    },
    ["-"],
    { stdin: packed },
  )
  expect([tar.code, got.equals(packed)]).toEqual([0, true])
  for (const url of ["https://h.example/x.tar", "git@h.example:x.git#main", "https://h.example/x.git#v1:sub"])
    expect((await build(usual, [url])).request?.context).toEqual({ type: "remote", url })
}, 20_000)

test("outputs are written here, as files of whoever asks", async () => {
  const out = join(work, "out")
  const archive = join(work, "made.tar")
  const packed = Bun.spawnSync(["tar", "-C", context, "-cf", "-", "kept"]).stdout
  async function* bytes() {
    yield packed
  }
  const { code, stderr } = await build(
    async (request, options, report, signal) => {
      await options.exports[0]?.writeTree?.(bytes())
      await options.exports[1]?.write?.(bytes())
      return usual(request, options, report, signal)
    },
    ["-o", out, "-o", `type=oci,dest=${archive}`, "-t", "x", context],
  )
  expect([code, stderr.includes("ERROR")]).toEqual([0, false])
  expect(readFileSync(join(out, "kept"), "utf8")).toBe("kept")
  expect(readFileSync(archive).equals(packed)).toBe(true)
  const piped = await build(
    async (request, options, report, signal) => {
      await options.exports[0]?.write?.(bytes())
      return usual(request, options, report, signal)
    },
    ["-o", "-", context],
  )
  expect(piped.stdout).toContain("kept")
}, 20_000)

test("calls print their answer and end with its code", async () => {
  expect(await build(usual, ["--check", context])).toMatchObject({ code: 1, stdout: "checked\n" })
  expect(await build(usual, ["--call=outline,format=json", context])).toMatchObject({
    code: 0,
    stdout: '{\n  "what": "outline"\n}\n',
  })
})

test("mistakes are told in one sentence and docker's codes", async () => {
  const cases: [words: string[], code: number, said: string][] = [
    [["nowhere"], 1, 'unable to prepare context: path "nowhere" not found'],
    [["--taget", "x", context], 125, "unknown flag: --taget; did you mean --target?"],
    [[], 1, "requires 1 argument"],
    [["-f", "nowhere", context], 1, "failed to read dockerfile: open nowhere: no such file or directory"],
    [["--secret", "src=x", context], 1, "a secret needs an id"],
    [["--progress", "loud", context], 1, 'invalid progress "loud"'],
    [["-o", "type=zip,dest=x", context], 1, 'unknown type of output "zip"'],
    [["--push", context], 1, "tag is needed when pushing to registry"],
    [["--shm-size", "x", context], 125, 'invalid argument "x" for "--shm-size" flag'],
    [["-t", "Bad:x", context], 125, 'invalid argument "Bad:x" for "-t, --tag" flag'],
    [["--build-context", "x", context], 1, "invalid context value: x, expected key=value"],
    [["-", "-f", "-"], 1, "can't use stdin for both build context and dockerfile"],
  ]
  for (const [words, code, said] of cases) {
    const output = await build(usual, words)
    expect([words, output.code, output.stderr]).toEqual([words, code, expect.stringContaining(said)])
  }
}, 30_000)

test("Ctrl-C ends the build with 130", async () => {
  let aborted = false
  const builder = createFakeBuilder(async (_request, _options, report, signal) => {
    report(step("c", "[2/3] RUN sleep"))
    await new Promise((resolve) => signal.addEventListener("abort", resolve))
    aborted = true
    throw signal.reason
  })
  await using api = await serve(createFakeEngine(), builder)
  const child = Bun.spawn([...program(), "build", context], {
    env: { ...process.env, DOCKER_HOST: `unix://${api.socket}`, DOCKER_CONFIG: join(work, "config") },
    stderr: "pipe",
  })
  while (builder.requests.length === 0) await Bun.sleep(5)
  await Bun.sleep(100)
  child.kill("SIGINT")
  expect(await child.exited).toBe(130)
  for (let turn = 0; turn < 100 && !aborted; turn++) await Bun.sleep(10)
  expect(aborted).toBe(true)
})

test("an engine that does not see the directory is sent what .dockerignore leaves", async () => {
  const got: Buffer[] = []
  const builder = createFakeBuilder(async (request, options, report, signal) => {
    if (request.context.type === "tar")
      for await (const chunk of request.context.bytes) got.push(Buffer.from(chunk))
    return usual(request, options, report, signal)
  })
  await using api = await serve(createFakeEngine(), builder)
  const { connect } = await import("node:net")
  const { createServer } = await import("node:net")
  // A server between the two that makes the client's inode a wrong one, as if it stood on another machine.
  const between = createServer((client) => {
    const server = connect(api.socket)
    client.on("data", (chunk: Buffer) =>
      server.write(
        chunk
          .toString("latin1")
          .replace(/"Inode":"(\d)/, (_, digit: string) => `"Inode":"${(Number(digit) + 1) % 10}`),
        "latin1",
      ),
    )
    server.on("data", (chunk: Buffer) => client.write(chunk))
    client.on("close", () => server.destroy())
    server.on("close", () => client.destroy())
    client.on("error", () => {})
    server.on("error", () => {})
  })
  const socket = join(work, "between.sock")
  await new Promise<void>((resolve) => between.listen(socket, resolve))
  const output = await execute([...program(), "build", "-q", context], {
    env: { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: join(work, "config") },
  })
  between.close()
  expect([output.code, output.stderr]).toEqual([0, ""])
  const listed = Bun.spawnSync(["tar", "-tf", "-"], { stdin: Buffer.concat(got) }).stdout.toString()
  expect(listed.trim().split("\n").sort()).toEqual([".dockerignore", "Dockerfile", "kept"])
})
