// What a create request says reaches the engine in the domain's words, or is refused in Docker's.
import { expect, test } from "bun:test"
import { createFakeEngine } from "./fake-engine.ts"
import { serve } from "./serve.ts"

async function created(request: Record<string, unknown>) {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const response = await api.request("POST", "/containers/create", { Image: "busybox", ...request })
  const answer = (await response.json()) as { message?: string; Id?: string; Warnings?: string[] }
  return { status: response.status, answer, config: engine.lastCreate() }
}

const host = (HostConfig: Record<string, unknown>) => created({ HostConfig })

test("what is left out stays absent, null is as good as nothing", async () => {
  const { status, config } = await created({
    Env: null,
    Cmd: null,
    Entrypoint: null,
    Labels: null,
    ExposedPorts: null,
    HostConfig: { Binds: null, Memory: null, CapAdd: null, PortBindings: null, Ulimits: null },
    NetworkingConfig: { EndpointsConfig: { bridge: null } },
  })
  expect(status).toBe(201)
  for (const key of ["env", "command", "entrypoint", "labels", "mounts", "ports", "hostname", "capAdd"]) {
    expect(config).not.toHaveProperty(key)
  }
  expect(config?.resources).toEqual({})
  expect(config?.networks).toEqual([{ network: "bridge", aliases: [], links: [] }])
})

test("commands may be a text, an empty entrypoint removes the image's", async () => {
  expect((await created({ Cmd: "ls" })).config?.command).toEqual(["ls"])
  expect((await created({ Entrypoint: [""] })).config?.entrypoint).toEqual([""])
  expect((await created({ Entrypoint: ["a", "b"] })).config?.entrypoint).toEqual(["a", "b"])
})

test("binds", async () => {
  const { config } = await host({
    Binds: ["/host/:/in:ro,rslave", "data:/data:nocopy", "/srv:/srv/../out"],
    Tmpfs: { "/tmp": "size=64m,mode=1777" },
  })
  expect(config?.mounts).toMatchObject([
    {
      type: "bind",
      source: "/host",
      target: "/in",
      readOnly: true,
      propagation: "rslave",
      createSource: true,
    },
    { type: "volume", source: "data", target: "/data", noCopy: true },
    { type: "bind", source: "/srv", target: "/out", readOnly: false },
    { type: "tmpfs", target: "/tmp", tmpfsOptions: ["size=64m", "mode=1777"], origin: "tmpfs" },
  ])
})

test("mounts", async () => {
  const { config } = await host({
    Mounts: [
      { Type: "bind", Source: "/a", Target: "/b", ReadOnly: true, BindOptions: { NonRecursive: true } },
      {
        Type: "volume",
        Target: "/v",
        VolumeOptions: { Labels: { a: "1" }, DriverConfig: { Name: "local", Options: { o: "x" } } },
      },
      { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1024, Mode: 0o700 } },
    ],
  })
  expect(config?.mounts).toMatchObject([
    { type: "bind", source: "/a", target: "/b", readOnly: true, nonRecursive: true, createSource: false },
    { type: "volume", target: "/v", labels: { a: "1" }, driver: "local", driverOptions: { o: "x" } },
    { type: "tmpfs", target: "/t", tmpfsSize: 1024, tmpfsMode: 0o700 },
  ])
})

test("ports, limits, health and policy change their units and names", async () => {
  const { config } = await created({
    ExposedPorts: { "80/tcp": {}, "53/udp": {}, "90-91": {} },
    Healthcheck: { Test: ["CMD", "true"], Interval: 30_000_000_000, Retries: 3 },
    StopTimeout: 5,
    HostConfig: {
      PortBindings: {
        "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }, { HostPort: "" }],
        "53/udp": [{ HostPort: "5000-5010" }],
      },
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 4 },
      Memory: 1 << 26,
      NanoCpus: 1_500_000_000,
      PidsLimit: -1,
      Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
      Devices: [{ PathOnHost: "/dev/null", PathInContainer: "", CgroupPermissions: "" }],
      NetworkMode: "none",
    },
  })
  expect(config?.exposedPorts).toEqual(["80/tcp", "53/udp", "90/tcp", "91/tcp"])
  expect(config?.ports).toEqual([
    { protocol: "tcp", containerPort: 80, hostAddress: "127.0.0.1", hostPort: 8080 },
    { protocol: "tcp", containerPort: 80, hostAddress: "" },
    { protocol: "udp", containerPort: 53, hostAddress: "", hostPort: 5000, hostPortEnd: 5010 },
  ])
  expect(config?.healthcheck).toEqual({ test: ["CMD", "true"], interval: 30_000, retries: 3 })
  expect(config?.restart).toEqual({ name: "on-failure", maximumRetries: 4 })
  expect(config?.resources).toEqual({
    memory: 1 << 26,
    nanoCpus: 1_500_000_000,
    pids: 0,
    ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
    devices: [{ hostPath: "/dev/null", containerPath: "/dev/null", access: "rwm" }],
  })
  expect(config?.networkMode).toBe("none")
})

test("refusals are Docker's", async () => {
  const cases: [HostConfig: Record<string, unknown>, expected: string | RegExp][] = [
    [{ Binds: ["a:b:c:d"] }, "invalid volume specification: 'a:b:c:d'"],
    [{ Binds: [""] }, "invalid volume specification: ''"],
    [{ Binds: ["/a::ro"] }, "invalid volume specification: '/a::ro'"],
    [{ Binds: ["/a:b"] }, /invalid mount path: 'b' mount path must be absolute/],
    [{ Binds: ["/a:/"] }, /destination can't be '\/'/],
    [{ Binds: ["/a:/x/.."] }, /destination can't be '\/'/],
    [{ Binds: ["/a:/b:fast"] }, "invalid mode: fast"],
    [{ Binds: ["/a:/b:ro,rw"] }, /invalid mode: ro,rw/],
    [{ Binds: ["../a:/b"] }, /includes invalid characters for a local volume name/],
    [{ Binds: ["/a:/b", "/c:/b/"] }, "Duplicate mount point: /b"],
    [{ Mounts: [{ Type: "bind", Target: "/a" }] }, /field Source must not be empty/],
    [{ Mounts: [{ Type: "bind", Source: "a", Target: "/a" }] }, /mount path must be absolute/],
    [{ Mounts: [{ Type: "volume" }] }, /field Target must not be empty/],
    [{ Mounts: [{ Type: "floppy", Target: "/a" }] }, /mount type unknown/],
    [{ Mounts: [{ Type: "tmpfs", Target: "/a", Source: "x" }] }, /field Source must not be specified/],
    [
      { Mounts: [{ Type: "volume", Source: "v", Target: "/a", VolumeOptions: { Subpath: "../x" } }] },
      /subpath must be a relative path/,
    ],
    [{ Tmpfs: { "/t": "size=lots" } }, 'Invalid tmpfs option "size=lots"'],
    [{ PortBindings: { "99999/tcp": [] } }, 'invalid port specification: "99999/tcp"'],
    [{ PortBindings: { "80/ipx": [] } }, "invalid proto: ipx"],
    [{ PortBindings: { "80/tcp": [{ HostPort: "web" }] } }, /invalid host port: "web"/],
    [{ PortBindings: { "80/tcp": [{ HostIp: "1.2.3" }] } }, "invalid IP address: 1.2.3"],
    [{ RestartPolicy: { Name: "often" } }, /unknown policy 'often'/],
    [{ RestartPolicy: { Name: "always", MaximumRetryCount: 1 } }, /can only be used with 'on-failure'/],
    [
      { AutoRemove: true, RestartPolicy: { Name: "always" } },
      "can't create 'AutoRemove' container with restart policy",
    ],
    [{ OomScoreAdj: 2000 }, "Invalid value 2000, range for oom score adj is [-1000, 1000]"],
    [{ LogConfig: { Type: "gelf" } }, /no log driver named 'gelf' is registered$/],
    [{ LogConfig: { Type: "syslog" } }, /the syslog log driver needs syslog-address/],
    [
      { LogConfig: { Type: "fluentd", Config: { "max-size": "1m" } } },
      /unknown log opt 'max-size' for fluentd/,
    ],
    [{ LogConfig: { Type: "json-file", Config: { colour: "red" } } }, /unknown log opt 'colour'/],
    [
      { DeviceRequests: [{ Driver: "", Count: -1, Capabilities: [["gpu"]] }] },
      /could not select device driver "" with capabilities: \[\[gpu\]\]/,
    ],
    [{ Devices: [{ PathOnHost: "/dev/null", CgroupPermissions: "x" }] }, "invalid device mode: x"],
    [{ Ulimits: [{ Name: "nofile", Soft: 5, Hard: 2 }] }, /ulimit soft limit must be less/],
    [{ NanoCpus: 1, CpuQuota: 1 }, /Nano CPUs and CPU Quota cannot both be set/],
    [{ DeviceCgroupRules: ["b 1:2 rw", "x"] }, "invalid device cgroup rule format: 'x'"],
    [{ NetworkMode: "container:x", Dns: ["1.1.1.1"] }, "conflicting options: dns and the network mode"],
    [{ ExtraHosts: ["nothing"] }, 'bad format for add-host: "nothing"'],
  ]
  for (const [HostConfig, expected] of cases) {
    const { status, answer, config } = await host(HostConfig)
    expect([HostConfig, status === 400 || status === 501]).toEqual([HostConfig, true])
    if (typeof expected === "string") expect(answer.message).toBe(expected)
    else expect(answer.message).toMatch(expected)
    expect(config).toBeUndefined()
  }
})
