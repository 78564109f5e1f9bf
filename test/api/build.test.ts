// The faces of building over a builder that plays what is written down: dockerd's lines in their order, errors, and our own stream.
import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { connect } from "node:net"
import { currentBoot } from "../../src/base/boot.ts"
import { type BuildEvent, BuildFailure } from "../../src/build/build.ts"
import type { BuildLine, BuildStreamLine } from "../../src/wire/wire.ts"
import { BUILT_ID, createFakeBuilder } from "./fake-builder.ts"
import { createFakeEngine } from "./fake-engine.ts"
import { serve } from "./serve.ts"

const plan: BuildEvent = {
  type: "plan",
  globalArgs: ["ARG V=1"],
  stages: [
    {
      name: "one",
      steps: [
        { original: "FROM busybox AS one", vertex: "sha256:base", trigger: false },
        { original: "ENV A=b", vertex: "", trigger: false },
        { original: "RUN make", vertex: "sha256:make", trigger: false },
      ],
    },
    {
      name: "",
      steps: [
        { original: "FROM scratch", vertex: "", trigger: false },
        { original: "COPY --from=one /a /a", vertex: "sha256:copy", trigger: false },
        { original: 'CMD ["sh"]', vertex: "", trigger: false },
      ],
    },
  ],
}

const began = (digest: string): BuildEvent => ({
  type: "vertex",
  vertex: { digest, inputs: [], name: digest, cached: false, error: "", startedAt: 1 },
})
const ended = (digest: string, cached = false, error = ""): BuildEvent => ({
  type: "vertex",
  vertex: { digest, inputs: [], name: digest, cached, error, startedAt: 1, completedAt: 2 },
})
const became = (vertex: string): BuildEvent => ({ type: "result", vertex, chainId: `chain of ${vertex}` })
const said = (vertex: string, text: string, stream: 1 | 2 = 1): BuildEvent => ({
  type: "log",
  vertex,
  stream,
  bytes: Buffer.from(text),
  at: 1,
})

const built = { response: new Map<string, string>(), imageId: BUILT_ID }

async function classic(query: string, play: Parameters<typeof createFakeBuilder>[0]) {
  const builder = createFakeBuilder(play)
  await using api = await serve(createFakeEngine(), builder)
  const response = await api.request("POST", `/v1.41/build?${query}`, "", {
    "Content-Type": "application/x-tar",
  })
  const text = await response.text()
  const lines = response.ok
    ? text
        .split("\r\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as BuildStreamLine)
    : []
  const stream = lines.map((line) => line.stream ?? "").join("")
  return {
    builder,
    response,
    text,
    lines,
    stream: stream.replace(/(?<=in |container |---> )[0-9a-f]{12}/g, "ID"),
  }
}

test("steps are told in the order of the Dockerfile, whichever ends first", async () => {
  const { stream, lines } = await classic("t=x:1&t=y", async (_request, _options, report) => {
    report(plan)
    report(began("sha256:base"))
    report(began("sha256:copy"))
    report(ended("sha256:copy"))
    report(became("sha256:copy"))
    report(ended("sha256:base"))
    report(began("sha256:make"))
    report(said("sha256:make", "out\n"))
    report(said("sha256:make", "err\n", 2))
    report(ended("sha256:make"))
    report(became("sha256:make"))
    return built
  })
  expect(stream).toBe(
    [
      "Step 1/7 : ARG V=1",
      "Step 2/7 : FROM busybox AS one",
      " ---> ID",
      "Step 3/7 : ENV A=b",
      " ---> Running in ID",
      "Removing intermediate container ID",
      " ---> ID",
      "Step 4/7 : RUN make",
      " ---> Running in ID",
      "out",
      "\u001b[91merr",
      "\u001b[0mRemoving intermediate container ID",
      " ---> ID",
      "Step 5/7 : FROM scratch",
      " ---> ",
      "Step 6/7 : COPY --from=one /a /a",
      " ---> ID",
      'Step 7/7 : CMD ["sh"]',
      " ---> Running in ID",
      "Removing intermediate container ID",
      " ---> ID",
      "Successfully built 5a5a5a5a5a5a",
      "Successfully tagged x:1",
      "Successfully tagged y:latest",
      "",
    ].join("\n"),
  )
  expect(lines.filter(({ aux }) => aux)).toEqual([{ aux: { ID: BUILT_ID } }])
})

test("what runs first is shown while it runs", async () => {
  const seen: string[] = []
  const builder = createFakeBuilder(async (_request, _options, report, signal) => {
    report(plan)
    report(ended("sha256:base", true))
    report(began("sha256:make"))
    report(said("sha256:make", "working\n"))
    await new Promise((resolve) => signal.addEventListener("abort", resolve))
    seen.push("cancelled")
    throw signal.reason
  })
  await using api = await serve(createFakeEngine(), builder)
  const client = connect({ path: api.socket })
  client.write("POST /v1.41/build HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
  let text = ""
  await new Promise<void>((resolve) =>
    client.on("data", (chunk) => {
      text += chunk.toString()
      if (text.includes("working")) resolve()
    }),
  )
  client.destroy()
  for (let turn = 0; turn < 200 && seen.length === 0; turn++) await Bun.sleep(5)
  expect(seen).toEqual(["cancelled"])
})

test("a failed RUN ends with dockerd's words and its code; failures before anything is told are the answer itself", async () => {
  const failed = await classic("", async (_request, _options, report) => {
    report(plan)
    report(ended("sha256:base", true))
    report(began("sha256:make"))
    report(said("sha256:make", "no rule\n"))
    report(ended("sha256:make", false, "exit code: 2"))
    throw new BuildFailure(
      "invalid",
      'process "/bin/sh -c make" did not complete successfully: exit code: 2',
      { vertex: "sha256:make", exitCode: 2 },
    )
  })
  expect(failed.stream).toContain("Step 4/7 : RUN make\n ---> Running in ID\nno rule\n")
  const message = "The command '/bin/sh -c make' returned a non-zero code: 2"
  expect(failed.lines.at(-1)).toEqual({ errorDetail: { code: 2, message }, error: message })
  const early = await classic("", async () => {
    throw new BuildFailure("invalid", "dockerfile parse error on line 2: unknown instruction: FOO", {})
  })
  expect([early.response.status, early.text]).toEqual([
    400,
    '{"message":"dockerfile parse error on line 2: unknown instruction: FOO"}\n',
  ])
})

test("a quiet build tells its image only", async () => {
  const { lines } = await classic("q=1&t=x", async (_request, _options, report) => {
    report(plan)
    return built
  })
  expect(lines).toEqual([{ stream: `${BUILT_ID}\n` }])
})

test("all parameters reach the builder", async () => {
  const query = new URLSearchParams({
    dockerfile: "sub/File",
    q: "0",
    nocache: "1",
    pull: "1",
    memory: "1000000",
    memswap: "-1",
    cpushares: "5",
    cpuquota: "7",
    cpuperiod: "9",
    cpusetcpus: "0",
    cpusetmems: "0",
    cgroupparent: "/p",
    shmsize: "65536",
    networkmode: "host",
    target: "one",
    platform: "linux/arm64",
    buildargs: '{"A":"1","B":null}',
    labels: '{"l":"m"}',
    ulimits: '[{"Name":"nofile","Soft":1,"Hard":2}]',
    cachefrom: '["img:1"]',
    extrahosts: "a:1.2.3.4",
    squash: "1",
    buildid: "abcdefgh",
  })
  const config = Buffer.from(
    JSON.stringify({ "reg.example:5000": { username: "u", password: "p" } }),
  ).toString("base64url")
  const builder = createFakeBuilder(async (_request, options) => {
    expect(options).toMatchObject({ squash: true, exports: [{ type: "image" }] })
    return built
  })
  await using api = await serve(createFakeEngine(), builder)
  const answer = await api.request("POST", `/v1.51/build?${query}&t=x&t=x:latest&t=y:2`, "", {
    "X-Registry-Config": config,
  })
  expect(answer.status).toBe(200)
  await answer.text()
  const [request] = builder.requests
  expect(request).toMatchObject({
    id: "abcdefgh",
    dockerfilePath: "sub/File",
    target: "one",
    noCache: true,
    pull: true,
    memory: 1_000_000,
    memorySwap: -1,
    cpuShares: 5,
    cpuQuota: 7,
    cpuPeriod: 9,
    shmSize: 65_536,
    network: "host",
    entitlements: ["network.host"],
    extraHosts: ["a:1.2.3.4"],
    ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
    platforms: [{ os: "linux", architecture: "arm64" }],
    face: "classic",
  })
  expect([...(request?.buildArgs ?? [])]).toEqual([["A", "1"]])
  const signal = new AbortController().signal
  expect(await request?.credentials("reg.example:5000", signal)).toMatchObject({
    username: "u",
    password: "p",
  })
  expect(await request?.credentials("docker.io", signal)).toBeUndefined()
})

test("parameters that cannot be meant are refused before anything is read", async () => {
  for (const query of [
    "buildargs=x",
    "labels=[]",
    "ulimits=x",
    "cachefrom=x",
    "memory=x",
    "shmsize=-3",
    "version=7",
    "remote=zzz",
    "t=Bad:x",
    `t=x@sha256:${"0".repeat(64)}`,
    "platform=nix/y/z/w",
    "isolation=hyperv",
  ]) {
    const { response } = await classic(query, undefined)
    expect([query, response.status]).toEqual([query, 400])
  }
})

test("prune, cancel and disk use", async () => {
  const usage = [
    {
      id: "abc",
      parents: ["p1", "p2"],
      kind: "regular",
      description: "RUN make",
      inUse: false,
      shared: true,
      size: 10,
      createdAt: 1000,
      usedAt: 0,
      uses: 3,
    },
  ]
  const builder = createFakeBuilder(undefined, { usage })
  await using api = await serve(createFakeEngine(), builder)
  const filters = encodeURIComponent('{"until":["24h"],"type":["regular"],"inuse":["true"]}')
  const pruned = await api.request("POST", `/v1.44/build/prune?all=1&keep-storage=5&filters=${filters}`)
  expect(await pruned.json()).toEqual({ CachesDeleted: ["abc"], SpaceReclaimed: 42 })
  expect(builder.pruned).toEqual([
    { all: true, keepBytes: 5, kind: ["regular"], inUse: true, unusedSince: expect.any(Number) },
  ])
  expect(
    (await api.request("POST", "/v1.44/build/prune?filters=%7B%22zz%22%3A%5B%221%22%5D%7D")).status,
  ).toBe(400)
  expect((await api.request("POST", "/v1.44/build/cancel")).status).toBe(400)
  expect((await api.request("POST", "/v1.44/build/cancel?id=zz")).status).toBe(204)
  const older = (await (await api.request("GET", "/v1.41/system/df")).json()) as Record<string, unknown>
  expect(older).toMatchObject({ BuilderSize: 10, BuildCache: [{ ID: "abc", Parent: "p1" }] })
  const newer = (await (await api.request("GET", "/v1.51/system/df?type=build-cache")).json()) as Record<
    string,
    unknown
  >
  expect(newer).toEqual({
    BuildCache: [
      {
        ID: "abc",
        Parents: ["p1", "p2"],
        Type: "regular",
        Description: "RUN make",
        InUse: false,
        Shared: true,
        Size: 10,
        CreatedAt: "1970-01-01T00:00:01Z",
        LastUsedAt: null,
        UsageCount: 3,
      },
    ],
  })
})

const linesOf = async (response: Response): Promise<BuildLine[]> =>
  (await response.text())
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as BuildLine)

test("our own builds: a directory that both see is named, one that only the client sees is asked for", async () => {
  const directory = mkdtempSync("/tmp/h8-context-")
  const builder = createFakeBuilder(async (request, options, report) => {
    report(plan)
    report(ended("sha256:base", true))
    report(said("sha256:make", "hello"))
    if (request.context.type === "tar") for await (const _ of request.context.bytes);
    const secret = await request.secrets("token", new AbortController().signal)
    expect(await request.secrets("other", new AbortController().signal)).toBeUndefined()
    await options.exports[0]?.write?.(
      (async function* () {
        yield Buffer.from(`secret ${secret}`)
      })(),
    )
    return built
  })
  await using api = await serve(createFakeEngine(), builder)
  const { dev, ino } = statSync(directory, { bigint: true })
  const here = { Type: "directory", Path: directory, Device: `${dev}`, Inode: `${ino}`, Boot: currentBoot() }
  for (const context of [here, { ...here, Inode: "1" }]) {
    const body = {
      Id: "build-number-1",
      Context: context,
      Secrets: ["token"],
      Outputs: [{ Type: "tar", Attributes: {} }],
    }
    const response = await api.request("POST", "/v1.51/builds", body)
    const lines: BuildLine[] = []
    let output = ""
    let rest = ""
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      const parts = (rest + Buffer.from(chunk).toString()).split("\n")
      rest = parts.pop() ?? ""
      for (const text of parts) {
        const line = JSON.parse(text) as BuildLine
        lines.push(line)
        if (line.ask === undefined) continue
        const path = `/builds/build-number-1/asked/${line.ask.number}`
        if (line.ask.what === "output") output = await (await api.request("GET", path)).text()
        else await api.request("POST", path, line.ask.what === "secret" ? "s3" : "a tar")
      }
    }
    const asked = lines.flatMap(({ ask }) => (ask === undefined ? [] : [ask.what]))
    expect(asked).toEqual(context === here ? ["secret", "output"] : ["context", "secret", "output"])
    expect(builder.requests.at(-1)?.context.type).toBe(context === here ? "directory" : "tar")
    expect(output).toBe("secret s3")
    expect(lines[0]).toEqual({ id: "build-number-1" })
    expect(lines.flatMap(({ logs = [] }) => logs)).toMatchObject([
      { vertex: "sha256:make", data: "aGVsbG8=" },
    ])
    expect(lines.at(-1)).toEqual({ result: { response: {}, imageId: BUILT_ID } })
  }
  rmSync(directory, { recursive: true })
})

test("our own builds: failures show the lines of the Dockerfile, calls answer", async () => {
  const builder = createFakeBuilder(async () => {
    throw new BuildFailure("invalid", "it broke", {
      place: { first: 2, last: 2 },
      source: Buffer.from("FROM busybox\nRUN false\n"),
      file: "Dockerfile",
    })
  })
  await using api = await serve(createFakeEngine(), builder)
  const failed = await linesOf(await api.request("POST", "/v1.51/builds", { Context: { Type: "empty" } }))
  expect(failed.at(-1)?.error).toEqual({
    message: "it broke",
    kind: "invalid",
    excerpt: expect.stringContaining("   2 | >>> RUN false"),
  })
  const checked = await linesOf(
    await api.request("POST", "/v1.51/builds", { Context: { Type: "empty" }, Call: "check" }),
  )
  expect(checked.at(-1)).toEqual({ answer: { text: "checked\n", json: { what: "check" }, statusCode: 1 } })
  expect((await api.request("POST", "/v1.51/builds", { Context: { Type: "nix" } })).status).toBe(400)
  expect((await api.request("POST", "/v1.51/builds/none/asked/1")).status).toBe(404)
})
