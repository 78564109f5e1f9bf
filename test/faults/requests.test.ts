// Malformed requests, over every endpoint of the whole engine: one sentence with 4xx, and nothing changed.
import { afterAll, expect, test } from "bun:test"
import fc from "fast-check"
import { routeTable } from "../../src/api/api.ts"
import { createFakeBuilder } from "../api/fake-builder.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { startEngine } from "../fixtures/engine.ts"
import { type RawRequest, rawRequest } from "../fixtures/raw-request.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { ok } = engine
await ok("run", "-d", "--name", "runs", "-v", "kept:/v", "busybox", "sleep", "100000")
await ok("create", "--name", "made", "busybox", "true")
const execId = String(
  JSON.parse(
    (await rawRequest(engine.socket, "POST", "/containers/runs/exec", { body: '{"Cmd":["true"]}' })).body,
  ).Id,
)

const listing = async () =>
  Promise.all([
    ok("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"),
    ok("images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"),
    ok("volume", "ls", "-q"),
    ok("inspect", "-f", "{{json .HostConfig}} {{json .Config}}", "runs", "made"),
  ])
const untouched = await listing()

const send = (method: string, path: string, request: RawRequest = {}) =>
  rawRequest(engine.socket, method, path, { timeout: 8000, ...request })
/** What is wrong with an answer to something malformed; undefined when it is as it should be. */
const complaint = async (
  method: string,
  path: string,
  request: RawRequest = {},
  strict = true,
): Promise<string | undefined> => {
  const shown = `${method} ${path.slice(0, 120)} ${String(request.body ?? "").slice(0, 160)}`
  try {
    const { status, body, message } = await send(method, path, request)
    if (status >= 500 && status !== 501) return `${shown}: ${status} ${body.slice(0, 300)}`
    if (status < 400) return strict ? `${shown}: accepted with ${status} ${body.slice(0, 100)}` : undefined
    if (method === "HEAD") return undefined
    if (message === undefined || message.trim() === "")
      return `${shown}: ${status} without a message: ${body.slice(0, 200)}`
    if (/\n\s+at |undefined|\[object Object\]|Cannot read|is not a function|is not an object/.test(message))
      return `${shown}: ${message}`
    if (message.trim().includes("\n")) return `${shown}: more than a line: ${message}`
    return undefined
  } catch (error) {
    return `${shown}: ${error instanceof Error ? error.message : error}`
  }
}

const bodies = [
  "{",
  "[]",
  "null",
  '"x"',
  "7",
  "{} {}",
  '{"a":',
  "\0",
  "\ufeff{}",
  "{'a':1}",
  '{"__proto__":',
  "nul",
  "{,}",
  "\x80",
]
const bodyPaths = [
  "/containers/create",
  "/containers/made/exec",
  "/containers/made/update",
  "/volumes/create",
] as const

test("bodies that are no JSON object", async () => {
  const wrong: (string | undefined)[] = []
  for (const path of bodyPaths) {
    for (const body of bodies) wrong.push(await complaint("POST", path, { body }))
    wrong.push(
      await complaint("POST", path, {
        body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a]),
        headers: { "Content-Type": "application/json" },
      }),
    )
    wrong.push(await complaint("POST", path, { body: "{}", headers: { "Content-Type": "text/plain" } }))
    wrong.push(await complaint("POST", path, { body: "[".repeat(100_000) }))
    wrong.push(
      await complaint(
        "POST",
        path,
        { body: `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}` },
        path !== "/containers/made/update" && path !== "/volumes/create",
      ),
    )
    wrong.push(await complaint("POST", path, { body: `{"a":"${"x".repeat(5 << 20)}"}` }))
  }
  expect(wrong.filter(Boolean)).toEqual([])
  // What a lenient engine makes of an empty object is a volume: it goes.
  const extra = (await ok("volume", "ls", "-q")).split("\n").filter((name) => name !== "kept")
  if (extra.join("") !== "") await ok("volume", "rm", ...extra)
  expect(await listing()).toEqual(untouched)
}, 60_000)

const config = (more: Readonly<Record<string, unknown>>) => ({ Image: "busybox", Cmd: ["true"], ...more })
const host = (more: Readonly<Record<string, unknown>>) => config({ HostConfig: more })
/** Each of these is wrong in one place. */
const creates: readonly Readonly<Record<string, unknown>>[] = [
  {},
  { Image: "" },
  { Image: 7 },
  { Image: "UPPER/case" },
  { Image: "a b" },
  { Image: "no-such-image" },
  { Image: "busybox@sha256:00" },
  { Image: "busybox\0" },
  config({ Cmd: 7 }),
  config({ Cmd: [7] }),
  config({ Cmd: ["a\0b"] }),
  config({ Entrypoint: { a: 1 } }),
  config({ Env: "A=1" }),
  config({ Env: [1] }),
  config({ Env: ["=x"] }),
  config({ Env: ["A=\0"] }),
  config({ Labels: ["a"] }),
  config({ Labels: { a: 1 } }),
  config({ Tty: "yes" }),
  config({ OpenStdin: 1 }),
  config({ User: 5 }),
  config({ User: "a\0b" }),
  config({ WorkingDir: "relative" }),
  config({ WorkingDir: "/a\0b" }),
  config({ WorkingDir: 1 }),
  config({ Hostname: "a b" }),
  config({ Hostname: "x".repeat(70) }),
  config({ Hostname: "-\n" }),
  config({ StopSignal: "SIGNOPE" }),
  config({ StopSignal: "99" }),
  config({ StopTimeout: "soon" }),
  config({ ExposedPorts: { "x/tcp": {} } }),
  config({ ExposedPorts: { "70000/tcp": {} } }),
  config({ ExposedPorts: { "80/quic": {} } }),
  config({ ExposedPorts: ["80"] }),
  config({ Volumes: { relative: {} } }),
  config({ Volumes: { "/": {} } }),
  config({ Volumes: { "/a\0b": {} } }),
  config({ Healthcheck: { Test: ["NOPE"] } }),
  config({ Healthcheck: { Interval: -1 } }),
  config({ Healthcheck: { Interval: 5 } }),
  config({ Healthcheck: { Retries: -1 } }),
  config({ HostConfig: 7 }),
  host({ Memory: -1 }),
  host({ Memory: 1000 }),
  host({ Memory: 1e30 }),
  host({ Memory: 1.5 }),
  host({ Memory: "1g" }),
  host({ Memory: 67108864, MemorySwap: 1 }),
  host({ MemorySwap: 67108864 }),
  host({ MemoryReservation: 1 << 30, Memory: 1 << 26 }),
  host({ MemorySwappiness: 101 }),
  host({ NanoCpus: -1 }),
  host({ NanoCpus: 1e15 }),
  host({ CpuShares: -5 }),
  host({ CpuPeriod: 10 }),
  host({ CpuQuota: 10 }),
  host({ CpusetCpus: "0-99999" }),
  host({ CpusetCpus: "a" }),
  host({ CpusetMems: "7-" }),
  host({ PidsLimit: "x" }),
  host({ BlkioWeight: 5000 }),
  host({ ShmSize: -1 }),
  host({ OomScoreAdj: 5000 }),
  host({ Ulimits: [{ Name: "nofile", Soft: 10, Hard: 5 }] }),
  host({ Ulimits: [{ Name: "nope", Soft: 1, Hard: 1 }] }),
  host({ Sysctls: { "kernel.nope/../x": "1" } }),
  host({ Sysctls: { "": "1" } }),
  host({ RestartPolicy: { Name: "sometimes" } }),
  host({ RestartPolicy: { Name: "always", MaximumRetryCount: 3 } }),
  host({ RestartPolicy: { Name: "on-failure", MaximumRetryCount: -3 } }),
  host({ AutoRemove: true, RestartPolicy: { Name: "always" } }),
  host({ Binds: ["relative/path:/x"] }),
  host({ Binds: ["/a:relative"] }),
  host({ Binds: ["/a:/b:nope"] }),
  host({ Binds: ["/a:/b:ro:rw"] }),
  host({ Binds: [":"] }),
  host({ Binds: [""] }),
  host({ Binds: ["/a\0:/b"] }),
  host({ Mounts: [{ Type: "nope", Target: "/x" }] }),
  host({ Mounts: [{ Type: "bind", Source: "", Target: "/x" }] }),
  host({ Mounts: [{ Type: "bind", Source: "/no/such/place", Target: "/x" }] }),
  host({ Mounts: [{ Type: "tmpfs", Target: "/x", TmpfsOptions: { SizeBytes: -1 } }] }),
  host({ Mounts: [{ Type: "volume", Source: "../x", Target: "/x" }] }),
  host({ Mounts: [{ Type: "volume", Target: "" }] }),
  host({ Mounts: "x" }),
  host({ Tmpfs: { relative: "" } }),
  host({ Tmpfs: { "/x": "nope=1" } }),
  host({ Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/x", CgroupPermissions: "xyz" }] }),
  host({ DeviceCgroupRules: ["x"] }),
  host({ CapAdd: ["NOPE"] }),
  host({ CapDrop: [7] }),
  host({ SecurityOpt: ["nope"] }),
  host({ SecurityOpt: ["seccomp={"] }),
  host({ NetworkMode: "no-such-network" }),
  host({ NetworkMode: "container:nobody" }),
  host({ PidMode: "container:nobody" }),
  host({ IpcMode: "nope" }),
  host({ UTSMode: "nope" }),
  host({ CgroupnsMode: "nope" }),
  host({ UsernsMode: "nope" }),
  host({ PortBindings: { "80": [{ HostPort: "99999" }] } }),
  host({ PortBindings: { "x/tcp": [{ HostPort: "1" }] } }),
  host({ PortBindings: { "80/tcp": [{ HostIp: "nope", HostPort: "1" }] } }),
  host({ PortBindings: { "80/tcp": [{ HostPort: "9-1" }] } }),
  host({ PortBindings: { "80/tcp": [{ HostPort: 80 }] } }),
  host({ ExtraHosts: ["nope"] }),
  host({ Dns: ["nope"] }),
  host({ Links: ["nobody:x"] }),
  host({ LogConfig: { Type: "nope" } }),
  host({ LogConfig: { Type: "json-file", Config: { "max-size": "big" } } }),
  host({ LogConfig: { Type: "json-file", Config: { nope: "1" } } }),
  host({ Runtime: "nope" }),
  host({ VolumesFrom: ["nobody"] }),
  host({ VolumesFrom: ["made:nope"] }),
  host({ Isolation: "hyperv" }),
  host({ GroupAdd: [""] }),
  host({ CgroupParent: "../.." }),
]

test("configurations that are wrong in one place are refused by create, or at the latest by start", async () => {
  const wrong: string[] = []
  for (const body of creates) {
    const text = JSON.stringify(body)
    const made = await send("POST", "/containers/create?name=wrong", { body: text })
    if (made.status !== 201) {
      const why = await complaint("POST", "/containers/create?name=wrong", { body: text })
      if (why !== undefined) wrong.push(why)
      continue
    }
    const why = await complaint("POST", "/containers/wrong/start")
    if (why !== undefined) wrong.push(`${text}: ${why}`)
    await ok("rm", "-fv", "wrong")
  }
  expect(wrong).toEqual([])
  expect(await listing()).toEqual(untouched)
}, 60_000)

const queries: readonly (readonly [method: string, path: string])[] = [
  ["GET", "/containers/json?limit=x"],
  ["GET", "/containers/json?filters={"],
  ["GET", "/containers/json?filters=[]"],
  ["GET", '/containers/json?filters={"nope":["x"]}'],
  ["GET", '/containers/json?filters={"status":["nope"]}'],
  ["GET", '/containers/json?filters={"exited":["x"]}'],
  ["GET", "/containers/json?all=1&all=0"],
  ["GET", "/containers/runs/logs"],
  ["GET", "/containers/runs/logs?stdout=1&since=x"],
  ["GET", "/containers/runs/logs?stdout=1&until=-"],
  ["GET", "/containers/runs/top?ps_args=-o%00"],
  ["GET", "/containers/runs/archive"],
  ["GET", "/containers/runs/archive?path="],
  ["GET", "/containers/runs/archive?path=%00"],
  ["GET", "/containers/runs/archive?path=/no/such"],
  ["PUT", "/containers/runs/archive?path=/no/such"],
  ["PUT", "/containers/runs/archive"],
  ["POST", "/containers/runs/kill?signal=NOPE"],
  ["POST", "/containers/runs/kill?signal=-1"],
  ["POST", "/containers/runs/kill?signal=65"],
  ["POST", "/containers/runs/stop?t=x"],
  ["POST", "/containers/runs/stop?signal=NOPE"],
  ["POST", "/containers/runs/restart?t=1e9"],
  ["POST", "/containers/runs/resize"],
  ["POST", "/containers/runs/resize?h=x&w=1"],
  ["POST", "/containers/runs/resize?h=-1&w=1"],
  ["POST", "/containers/runs/resize?h=70000&w=1"],
  ["POST", "/containers/runs/rename"],
  ["POST", "/containers/runs/rename?name=made"],
  ["POST", "/containers/runs/rename?name=a/b"],
  ["POST", "/containers/runs/wait?condition=nope"],
  ["POST", "/containers/runs/attach?stream=1&stdout=1&detachKeys=nope-key"],
  ["POST", "/containers/made/start?detachKeys=a,b,,"],
  ["GET", "/containers/runs/stats?stream=1&one-shot=1"],
  ["DELETE", "/containers/runs"],
  ["DELETE", "/containers/runs?force=0"],
  ["POST", "/containers/prune?filters={"],
  ["POST", '/containers/prune?filters={"nope":["1"]}'],
  ["POST", '/containers/prune?filters={"until":["x"]}'],
  ["POST", `/exec/${execId}/resize?h=x&w=1`],
  ["GET", "/exec/nope/json"],
  ["GET", '/images/json?filters={"nope":["1"]}'],
  ["GET", "/images/json?filters=nope"],
  ["GET", "/images/get"],
  ["GET", "/images/get?names=no-such-image"],
  ["GET", "/images/nope/json"],
  ["GET", "/images/nope/history"],
  ["POST", "/images/busybox/tag"],
  ["POST", "/images/busybox/tag?repo=UPPER"],
  ["POST", "/images/busybox/tag?repo=a&tag=a/b"],
  ["POST", "/images/create"],
  ["POST", "/images/create?fromSrc=ftp://x"],
  ["POST", "/images/create?fromSrc=-&repo=UPPER"],
  ["POST", '/images/prune?filters={"nope":["1"]}'],
  ["DELETE", "/images/busybox"],
  ["POST", "/commit"],
  ["POST", "/commit?container=nobody"],
  ["POST", "/commit?container=made&repo=UPPER"],
  ["POST", "/commit?container=made&changes=NOPE%20x"],
  ["GET", "/volumes/nope"],
  ["GET", '/volumes?filters={"nope":["1"]}'],
  ["DELETE", "/volumes/kept"],
  ["DELETE", "/volumes/nope"],
  ["POST", '/volumes/prune?filters={"nope":["1"]}'],
  ["GET", "/networks/nope"],
  ["GET", '/networks?filters={"nope":["1"]}'],
  ["GET", "/events?since=x"],
  ["GET", '/events?filters={"nope":1}'],
  ["GET", "/events?until=-x"],
  ["GET", "/system/df?type=nope"],
  ["GET", "/v1.2.3/info"],
  ["GET", "/v9.9/info"],
  ["NOPE", "/info"],
  ["TRACE", "/info"],
]

test("queries that are wrong in one place", async () => {
  const wrong = await Promise.all(
    queries.map(([method, path]) =>
      complaint(method, encodeURI(path).replaceAll("%2500", "%00").replaceAll("%2520", "%20")),
    ),
  )
  expect(wrong.filter(Boolean)).toEqual([])
  expect(await listing()).toEqual(untouched)
}, 60_000)

const archives: readonly (readonly [title: string, bytes: Buffer])[] = [
  ["nothing", Buffer.alloc(0)],
  ["one byte", Buffer.from("x")],
  ["text", Buffer.from("this is no archive\n".repeat(100))],
  ["noise", Buffer.from(Array.from({ length: 8192 }, (_, n) => (n * 7919) % 251))],
  ["half a header", Buffer.alloc(300, 0x41)],
  ["gzip's first bytes", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])],
  ["zstd's first bytes", Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3])],
  ["xz's first bytes", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2])],
  ["bzip2's first bytes", Buffer.from("BZh91AY&SY garbage")],
]

test("archives that are none", async () => {
  const wrong: (string | undefined)[] = []
  const type = { "Content-Type": "application/x-tar" }
  for (const [title, body] of archives) {
    // Nothing, and an archive without a member, are archives to cp and import, as to tar itself.
    const strict = title !== "nothing"
    for (const path of ["/images/load", "/images/create?fromSrc=-&repo=wrong"]) {
      const why = await complaint("POST", path, { body, headers: type }, strict)
      // Load has answered 200 when it finds out: then the stream tells.
      if (why !== undefined && !(path === "/images/load" && why.includes('"error"')))
        wrong.push(`${title}: ${why}`)
    }
    const why = await complaint("PUT", "/containers/made/archive?path=/tmp", { body, headers: type }, strict)
    if (why !== undefined) wrong.push(`${title}: ${why}`)
  }
  await engine.docker("rmi", "wrong")
  expect(wrong).toEqual([])
  expect(await listing()).toEqual(untouched)
}, 60_000)

/** Routes that would rightly change what is there, when a random request happens to be a right one. */
const changes =
  /prune|^(DELETE|PUT)|\/(start|stop|restart|kill|pause|unpause|rename|update|create|load|tag|commit|exec)$/
const routes = routeTable(createFakeEngine(), createFakeBuilder()).filter(
  ({ support }) => support !== "refused",
)
const names = ["runs", "made", "nobody", "..", "%00", "%ff", "x".repeat(300)]
const nasty = fc.oneof(
  fc.constantFrom(
    "",
    "0",
    "-1",
    "1e309",
    "NaN",
    "null",
    "true",
    "%00",
    "%ff%fe",
    "{}",
    "[]",
    '{"a":["b"]}',
    "../../etc",
    "9".repeat(40),
    "0x10",
    "%F0%9F%92%A9",
    "a".repeat(3000),
  ),
  fc.string({ maxLength: 20 }).map(encodeURIComponent),
)
const keys = [
  "all",
  "filters",
  "name",
  "path",
  "signal",
  "t",
  "h",
  "w",
  "force",
  "v",
  "since",
  "until",
  "tail",
  "repo",
  "tag",
  "names",
  "platform",
  "condition",
  "stream",
  "detachKeys",
  "ps_args",
  "limit",
  "size",
  "container",
  "changes",
  "fromSrc",
  "noOverwriteDirNonDir",
  "copyUIDGID",
  "stdout",
  "digests",
]
const json = fc.oneof(
  fc.json(),
  fc.constantFrom("", "{", "null", "[]", "\0"),
  fc
    .dictionary(
      fc.constantFrom(
        "Image",
        "Cmd",
        "HostConfig",
        "Env",
        "Name",
        "Driver",
        "DriverOpts",
        "Memory",
        "RestartPolicy",
        "Detach",
        "Tty",
        "Labels",
        "Healthcheck",
        "NetworkingConfig",
        "Volumes",
        "ConsoleSize",
      ),
      fc.oneof(fc.constant("busybox"), fc.constant(["true"]), fc.jsonValue({ maxDepth: 2 })),
    )
    .map((value) => JSON.stringify(value)),
)

/** Routes that ask a registry elsewhere, which a random request must not do. */
const asksRegistry = /^\/(auth|distribution|images\/(create|search)|images\/.*\/push)/

test("any request: an answer in time, never 5xx, and the engine lives on", async () => {
  const wrong = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      fc.constantFrom(...names),
      fc.dictionary(fc.constantFrom(...keys), nasty, { maxKeys: 4 }),
      json,
      fc.boolean(),
      async (route, name, query, body, right) => {
        // A random request may be a right one: it must not be aimed at what the test looks at afterwards.
        const target = changes.test(`${route.method} ${route.path}`) && name !== ".." ? "nobody" : name
        const search = Object.entries({ ...query, ...(route.path === "/events" && { until: "1" }) })
          .map(([key, value]) => `${key}=${value}`)
          .join("&")
        const path = `${route.path.replace(/:(id|name)\+?/, target)}?${search}`
        if (/prune/.test(path) || /\/(attach|logs|stats|wait)/.test(path)) return
        if (asksRegistry.test(route.path)) return
        const request: RawRequest =
          route.method === "GET" || route.method === "HEAD"
            ? {}
            : { body, ...(right ? {} : { headers: { "Content-Type": "text/x" } }) }
        const why = await complaint(route.method, path, request, false)
        if (why !== undefined) wrong.add(`${route.method} ${route.path}: ${why}`)
      },
    ),
    { numRuns: 1500 },
  )
  expect([...wrong].slice(0, 20)).toEqual([])
  expect((await send("GET", "/_ping")).body).toBe("OK")
  // What a right request made (a volume without a name, say) is no change of what was there.
  const now = await listing()
  expect(now[3]).toBe(untouched[3] ?? "")
  expect(now[0]?.split("\n")).toEqual(expect.arrayContaining(untouched[0]?.split("\n") ?? []))
  const volumes = (await ok("volume", "ls", "-q"))
    .split("\n")
    .filter((name) => name !== "kept" && name !== "")
  if (volumes.length > 0) await ok("volume", "rm", ...volumes)
}, 90_000)
