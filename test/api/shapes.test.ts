// The answers have the shapes that clients read: checked as bytes, and through dockerode.
import { expect, test } from "bun:test"
import Docker from "dockerode"
import { createFakeEngine } from "./fake-engine.ts"
import { serve } from "./serve.ts"

const json = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>

test("inspect prints null and [] where Docker does", async () => {
  await using api = await serve(createFakeEngine())
  const created = await api.request("POST", "/containers/create?name=web", {
    Image: "busybox",
    Cmd: ["sleep", "9"],
    HostConfig: { Binds: ["/a:/b:ro"], PortBindings: { "80/tcp": [{ HostPort: "8080" }] } },
  })
  expect(created.status).toBe(201)
  expect(await json(created)).toEqual({ Id: expect.stringMatching(/^[0-9a-f]{64}$/), Warnings: [] })
  const inspect = await json(await api.request("GET", "/containers/web/json"))
  expect(inspect).toMatchObject({
    Name: "/web",
    Path: "sleep",
    Args: ["9"],
    Created: "2023-11-14T22:13:20.1235Z",
    State: { Status: "created", StartedAt: "0001-01-01T00:00:00Z", FinishedAt: "0001-01-01T00:00:00Z" },
    ExecIDs: null,
    Driver: "overlay2",
    Platform: "linux",
    Config: { Entrypoint: null, Volumes: null, OnBuild: null, Labels: {}, Env: [] },
    HostConfig: {
      Binds: ["/a:/b:ro"],
      PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] },
      CapAdd: null,
      SecurityOpt: null,
      Dns: [],
      Devices: [],
      NetworkMode: "bridge",
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    },
    Mounts: [],
    NetworkSettings: { Ports: {}, Networks: { bridge: { IPAMConfig: null, IPAddress: "" } } },
  })
  expect(inspect).not.toHaveProperty("SizeRw")
  const sized = await json(await api.request("GET", "/containers/web/json?size=1"))
  expect(sized).toMatchObject({ SizeRw: 10, SizeRootFs: 1_234_577 })
})

test("every answer of JSON ends in a newline", async () => {
  await using api = await serve(createFakeEngine())
  for (const path of ["/version", "/info", "/containers/json", "/images/json", "/volumes", "/networks"]) {
    const response = await api.request("GET", path)
    expect(response.headers.get("content-type")).toBe("application/json")
    const text = await response.text()
    expect(text).toEndWith("\n")
    expect(Number(response.headers.get("content-length"))).toBe(Buffer.byteLength(text))
  }
})

test("fields come and go with the client's version", async () => {
  await using api = await serve(createFakeEngine())
  const at = async (version: string) =>
    ((await (await api.request("GET", `/v${version}/images/json`)).json()) as Record<string, unknown>[])[0]
  expect(await at("1.43")).toHaveProperty("VirtualSize")
  expect(await at("1.44")).not.toHaveProperty("VirtualSize")
  const image = async (version: string) =>
    json(await api.request("GET", `/v${version}/images/busybox/json`)) as Promise<{ Config: object }>
  expect((await image("1.49")).Config).toHaveProperty("Hostname", "")
  expect((await image("1.50")).Config).not.toHaveProperty("Hostname")
  expect(await image("1.44")).toHaveProperty("Container", "")
  expect(await image("1.45")).not.toHaveProperty("Container")
  await api.request("POST", "/containers/create?name=web", { Image: "busybox" })
  const host = async (version: string) =>
    (await json(await api.request("GET", `/v${version}/containers/web/json`))).HostConfig
  expect(await host("1.41")).toHaveProperty("KernelMemory", 0)
  expect(await host("1.42")).not.toHaveProperty("KernelMemory")
})

test("image names hold slashes, encoded or not", async () => {
  await using api = await serve(createFakeEngine())
  for (const name of ["busybox", "localhost:5000/team/busybox:1", "localhost:5000%2Fteam%2Fbusybox:1"]) {
    const response = await api.request("GET", `/v1.50/images/${name}/json`)
    expect([name, response.status]).toEqual([name, 200])
    expect((await api.request("GET", `/images/${name}/history`)).status).toBe(200)
    expect((await api.request("POST", `/images/${name}/tag?repo=x&tag=y`)).status).toBe(201)
  }
  expect((await api.request("GET", "/images/a/b/c/json")).status).toBe(404)
  const removed = await api.request("DELETE", "/images/localhost:5000/team/busybox:1")
  expect(await removed.json()).toEqual([{ Untagged: "busybox:latest" }, { Deleted: expect.any(String) }])
})

test("path stats travel in a header, with Go's mode bits", async () => {
  await using api = await serve(createFakeEngine())
  await api.request("POST", "/containers/create?name=web", { Image: "busybox" })
  const stat = (response: Response) =>
    JSON.parse(
      Buffer.from(response.headers.get("x-docker-container-path-stat") ?? "", "base64").toString(),
    ) as Record<string, unknown>
  const head = await api.request("HEAD", "/containers/web/archive?path=/file")
  expect(head.status).toBe(200)
  expect(stat(head)).toEqual({
    name: "file",
    size: 3,
    mode: 0o644,
    mtime: "2023-11-14T22:13:20.000000001Z",
    linkTarget: "",
  })
  const get = await api.request("GET", "/containers/web/archive?path=/dir")
  expect(get.headers.get("content-type")).toBe("application/x-tar")
  expect(stat(get).mode).toBe(2 ** 31 + 0o755)
  expect(await get.text()).toBe("tar")
  expect((await api.request("PUT", "/containers/web/archive?path=/", "tar")).status).toBe(200)
})

test("load and import report as lines of JSON, and fail as an answer before the first line", async () => {
  await using api = await serve(createFakeEngine())
  const load = await api.request("POST", "/images/load?quiet=0", "tar", {
    "Content-Type": "application/x-tar",
  })
  expect(await load.text()).toBe(
    '{"id":"abc","status":"Loading layer","progressDetail":{"current":3,"total":3}}\n{"stream":"Loaded image: busybox:latest\\n"}\n',
  )
  const empty = await api.request("POST", "/images/load")
  expect(empty.status).toBe(400)
  const imported = await api.request("POST", "/images/create?fromSrc=-&repo=a", "tar")
  expect(await imported.text()).toMatch(/^\{"status":"sha256:[0-9a-f]{64}"\}\n$/)
})

test("dockerode finds what it looks for", async () => {
  await using api = await serve(createFakeEngine())
  const docker = new Docker({ socketPath: api.socket })
  expect(await docker.ping()).toBeInstanceOf(Buffer)
  expect((await docker.version()).ApiVersion).toBe("1.51")
  expect((await docker.info()).OSType).toBe("linux")
  const container = await docker.createContainer({
    Image: "busybox",
    name: "web",
    Tty: true,
    OpenStdin: true,
  })
  await container.start()
  expect((await container.inspect()).State.Running).toBe(true)
  const [listed] = await docker.listContainers()
  expect(listed).toMatchObject({ Names: ["/web"], State: "running", Image: "busybox" })
  expect(listed?.Status).toStartWith("Up ")
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true })
  const echoed = new Promise<string>((resolve) =>
    stream.once("data", (chunk: Buffer) => resolve(String(chunk))),
  )
  stream.write("hello")
  expect(await echoed).toBe("hello")
  const ended = new Promise<void>((resolve) => stream.once("end", () => resolve()))
  stream.end()
  await ended
  const stats = await container.stats({ stream: false, "one-shot": true })
  expect(stats.memory_stats.usage).toBe(4096)
  await container.stop()
  await container.remove()
  expect(await docker.listVolumes()).toMatchObject({ Volumes: [], Warnings: null })
  await docker.createVolume({ Name: "v" })
  expect(await docker.getVolume("v").inspect()).toMatchObject({ Name: "v", Driver: "local", Scope: "local" })
})

test("info tells each version what it knows", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const at = async (version: string) => json(await api.request("GET", `/v${version}/info`))
  const newest = await at("1.51")
  expect(newest).toMatchObject({
    Plugins: { Network: expect.arrayContaining(["bridge", "macvlan"]), Authorization: null },
    FirewallBackend: { Driver: "nftables" },
    Swarm: { LocalNodeState: "inactive", RemoteManagers: null },
    SecurityOptions: expect.arrayContaining(["name=seccomp,profile=builtin"]),
    ContainerdCommit: { ID: "" },
    NEventsListener: 0,
  })
  for (const gone of ["KernelMemory", "BridgeNfIptables", "ExecutionDriver"])
    expect(newest).not.toHaveProperty(gone)
  expect(await at("1.49")).toMatchObject({ BridgeNfIptables: false, BridgeNfIp6tables: false })
  expect(await at("1.48")).toMatchObject({ RuncCommit: { ID: "", Expected: "" } })
  expect(await at("1.48")).not.toHaveProperty("FirewallBackend")
  expect(await at("1.46")).toMatchObject({ RegistryConfig: { AllowNondistributableArtifactsCIDRs: [] } })
  expect(await at("1.41")).toMatchObject({ KernelMemory: false })
  expect(await at("1.24")).toMatchObject({
    ExecutionDriver: "<not supported>",
    SecurityOptions: expect.arrayContaining(["seccomp"]),
  })
  const leave = engine.events.subscribe(() => {})
  expect(await at("1.51")).toMatchObject({ NEventsListener: 1 })
  leave()
})

test("what this engine does not have answers as Docker does without it", async () => {
  await using api = await serve(createFakeEngine())
  const status = async (method: string, path: string) => (await api.request(method, path)).status
  expect(await status("GET", "/containers/x/checkpoints")).toBe(501)
  expect(await status("DELETE", "/containers/x/checkpoints/y")).toBe(501)
  expect(await status("POST", "/containers/x/start?checkpoint=y")).toBe(400)
  for (const [method, path] of [
    ["GET", "/plugins/a/b:c/json"],
    ["POST", "/plugins/a/b/enable"],
    ["POST", "/plugins/a/disable"],
    ["POST", "/plugins/a/upgrade"],
    ["POST", "/plugins/a/set"],
    ["POST", "/plugins/a/push"],
    ["DELETE", "/plugins/a/b"],
  ] as const)
    expect([path, await status(method, path)]).toEqual([path, 404])
  expect(await status("POST", "/plugins/pull?remote=a")).toBe(501)
  expect(await (await api.request("GET", '/plugins?filters={"enabled":["true"]}')).json()).toEqual([])
  expect(await status("GET", '/plugins?filters={"nope":["true"]}')).toBe(400)
  for (const path of ["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs", "/tasks/x/logs"]) {
    const response = await api.request("GET", path)
    expect([path, response.status]).toEqual([path, 503])
    expect(await json(response)).toEqual({
      message:
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    })
  }
})

test("a list from kept pieces says what one made anew says", async () => {
  await using api = await serve(createFakeEngine())
  for (const name of ["a", "b"])
    await api.request("POST", `/containers/create?name=${name}`, {
      Image: name === "a" ? "busybox" : "localhost:5000/team/busybox:1",
      Cmd: ["sh", "-c", 'it\'s "so"'],
      Labels: { ü: "\n" },
      HostConfig: { Annotations: { a: "b" } },
    })
  const list = async (query: string) =>
    (await (await api.request("GET", `/containers/json?all=1${query}`)).json()) as Record<string, unknown>[]
  const anew = (await list("&size=1")).map(({ SizeRw: _, SizeRootFs: __, ...rest }) => rest)
  expect(await list("")).toEqual(anew)
  expect((await list("")).map(Object.keys)).toEqual(anew.map(Object.keys))
  await api.request("POST", "/containers/a/start")
  expect((await list("")).find(({ Names }) => String(Names) === "/a")).toMatchObject({ State: "running" })
})
