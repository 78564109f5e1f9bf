// What the docker client shows of containers and the engine: ps, inspect, events, info, version, df, prune, volumes.
import { afterAll, expect } from "bun:test"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok } = engine

proof(
  [
    "ps",
    "ps --all",
    "ps --quiet",
    "ps --no-trunc",
    "ps --last",
    "ps --latest",
    "ps --size",
    "ps --format",
    "ps --filter",
  ],
  "ps with filters and formats",
  async () => {
    const web = await ok(
      "run",
      "-d",
      "--name",
      "web",
      "--label",
      "tier=front",
      "-p",
      "127.0.0.1::80",
      "-v",
      "pages:/pages",
      "busybox",
      "sleep",
      "1000",
    )
    await docker(
      "run",
      "--name",
      "job",
      "--label",
      "tier=back",
      "busybox",
      "sh",
      "-c",
      "echo data > /f; exit 3",
    )
    await ok("create", "--name", "idle", "busybox", "true")
    const names = async (...flags: string[]) =>
      (await ok("ps", "--format", "{{.Names}}", ...flags)).split("\n")
    expect(await names()).toEqual(["web"])
    expect(await names("-a")).toEqual(["idle", "job", "web"])
    expect(await names("-n", "2")).toEqual(["idle", "job"])
    expect(await names("-l")).toEqual(["idle"])
    expect(await ok("ps", "-q", "--no-trunc")).toBe(web)
    const filters: readonly [string, readonly string[]][] = [
      ["status=exited", ["job"]],
      ["status=created", ["idle"]],
      ["exited=3", ["job"]],
      ["label=tier", ["job", "web"]],
      ["label=tier=back", ["job"]],
      ["name=we", ["web"]],
      ["name=^/?job$", ["job"]],
      [`id=${web.slice(0, 8)}`, ["web"]],
      ["ancestor=busybox", ["idle", "job", "web"]],
      ["volume=pages", ["web"]],
      ["volume=/pages", ["web"]],
      ["publish=80", ["web"]],
      ["since=web", ["idle", "job"]],
      ["before=job", ["web"]],
      ["network=bridge", ["idle", "job", "web"]],
      ["health=none", ["idle", "job", "web"]],
    ]
    for (const [filter, expected] of filters)
      expect([filter, await names("-a", "-f", filter)]).toEqual([filter, [...expected]])
    const wrong = await docker("ps", "-f", "nonsense=1")
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toContain("invalid filter 'nonsense'")
    expect(await ok("ps", "-a")).toMatch(
      /^CONTAINER ID\s+IMAGE\s+COMMAND\s+CREATED\s+STATUS\s+PORTS\s+NAMES\n/,
    )
    expect(
      await ok(
        "ps",
        "-a",
        "--filter",
        "name=job",
        "--format",
        "{{.Status}}|{{.Command}}|{{.Image}}|{{.Labels}}|{{.Networks}}",
      ),
    ).toMatch(/^Exited \(3\) .* ago\|"sh -c 'echo data > …"\|busybox\|tier=back\|bridge$/)
    expect(await ok("ps", "-as", "--filter", "name=job", "--format", "{{.Size}}")).toMatch(
      /^\d+B|\d.*kB \(virtual .*MB\)$/,
    )
    const json = JSON.parse(await ok("ps", "--format", "json"))
    expect(json.Names).toBe("web")
    expect(json.State).toBe("running")
    expect(json.Mounts).toBe("pages")
    await ok("rm", "-f", "web", "job", "idle")
    await ok("volume", "rm", "pages")
  },
)

proof(
  ["inspect", "inspect --format", "inspect --type", "inspect --size", "container inspect"],
  "inspect shows what was asked for",
  async () => {
    const flags = [
      "--name",
      "all",
      "--hostname",
      "h",
      "-e",
      "A=1",
      "-w",
      "/tmp",
      "-u",
      "1:2",
      "--label",
      "l=1",
      "--entrypoint",
      "sleep",
      "--stop-signal",
      "INT",
      "--stop-timeout",
      "3",
    ]
    const host = [
      "--memory",
      "64m",
      "--cpus",
      "0.5",
      "--pids-limit",
      "9",
      "--restart",
      "on-failure:2",
      "--cap-add",
      "SYS_TIME",
      "--cap-drop",
      "CHOWN",
      "--dns",
      "1.2.3.4",
      "--add-host",
      "a:1.1.1.1",
      "--shm-size",
      "1m",
      "--read-only",
      "--init",
      "-p",
      "127.0.0.1::80",
      "--ulimit",
      "nofile=64:128",
      "--security-opt",
      "no-new-privileges",
      "--sysctl",
      "kernel.msgmax=9000",
      "--tmpfs",
      "/t",
      "--log-opt",
      "max-size=1m",
      "--oom-score-adj",
      "10",
      "--group-add",
      "3",
      "--privileged",
      "-v",
      "/tmp:/host:ro",
    ]
    const id = await ok("create", ...flags, ...host, "busybox", "77")
    const [shown] = JSON.parse(await ok("inspect", "all"))
    expect(shown).toMatchObject({
      Id: id,
      Name: "/all",
      Path: "sleep",
      Args: ["77"],
      State: { Status: "created", Running: false, Pid: 0, ExitCode: 0 },
      Config: {
        Hostname: "h",
        User: "1:2",
        WorkingDir: "/tmp",
        Entrypoint: ["sleep"],
        Cmd: ["77"],
        Labels: { l: "1" },
        StopSignal: "INT",
        StopTimeout: 3,
        Image: "busybox",
        Tty: false,
      },
      HostConfig: {
        Memory: 64 << 20,
        NanoCpus: 5e8,
        PidsLimit: 9,
        RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 },
        CapAdd: ["CAP_SYS_TIME"],
        CapDrop: ["CAP_CHOWN"],
        Dns: ["1.2.3.4"],
        ExtraHosts: ["a:1.1.1.1"],
        ShmSize: 1 << 20,
        ReadonlyRootfs: true,
        Init: true,
        Binds: ["/tmp:/host:ro"],
        Privileged: true,
        PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] },
        Ulimits: [{ Name: "nofile", Soft: 64, Hard: 128 }],
        SecurityOpt: ["no-new-privileges"],
        Sysctls: { "kernel.msgmax": "9000" },
        Tmpfs: { "/t": "" },
        LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
        OomScoreAdj: 10,
        GroupAdd: ["3"],
      },
      Mounts: [
        {
          Type: "bind",
          Source: "/tmp",
          Destination: "/host",
          Mode: "ro",
          RW: false,
          Propagation: "rprivate",
        },
      ],
      Platform: "linux",
      Driver: expect.any(String),
    })
    expect(shown.Config.Env).toContain("A=1")
    expect(
      await ok(
        "inspect",
        "-f",
        "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}{{json .Args}} {{upper .Name}} {{len .Mounts}}",
        "all",
      ),
    ).toBe('l=1 ["77"] /ALL 1')
    expect(await ok("inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "all")).toMatch(/^0 \d{6,}$/)
    expect(await ok("inspect", "--type", "image", "-f", "{{.Os}}", "busybox")).toBe("linux")
    expect((await docker("inspect", "--type", "volume", "all")).code).toBe(1)
    const absent = await docker("inspect", "nobody")
    expect(absent.stdout).toBe("[]\n")
    expect(absent.stderr).toMatch(/[Nn]o such object: nobody/)
    await ok("rm", "all")
  },
)

proof(
  ["events", "events --since", "events --until", "events --filter", "events --format"],
  "events: a stream with attributes, live and afterwards",
  async () => {
    const since = (Date.now() / 1000).toFixed(3)
    const live = engine.spawnDocker(
      "events",
      "--filter",
      "type=container",
      "--format",
      "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}",
    )
    let text = ""
    live.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString()
    })
    await Bun.sleep(500)
    await docker("run", "--rm", "--name", "seen", "--label", "mine=yes", "busybox", "sh", "-c", "exit 7")
    await eventually("the events came", () => text.includes("destroy seen"))
    live.kill("SIGTERM")
    expect(
      text
        .replaceAll(" <no value>", "")
        .trim()
        .split("\n")
        .map((line) => line.trim()),
    ).toEqual(["create seen", "attach seen", "start seen", "die seen 7", "destroy seen"])
    await Bun.sleep(1100)
    const until = String(Math.floor(Date.now() / 1000))
    const past = await ok(
      "events",
      "--since",
      since,
      "--until",
      until,
      "--filter",
      "container=seen",
      "--filter",
      "event=die",
      "--format",
      "json",
    )
    const event = JSON.parse(past)
    expect(event).toMatchObject({
      Type: "container",
      Action: "die",
      scope: "local",
      Actor: { Attributes: { image: "busybox", name: "seen", mine: "yes", exitCode: "7" } },
    })
    expect(event.timeNano).toBeGreaterThan(1e18)
    const network = await ok(
      "events",
      "--since",
      since,
      "--until",
      until,
      "--filter",
      "type=network",
      "--format",
      "{{.Action}} {{.Actor.Attributes.name}}",
    )
    expect(network.split("\n")).toEqual(["connect bridge", "disconnect bridge"])
  },
)

proof(["version", "info"], "version and info", async () => {
  expect(await ok("version", "--format", "{{.Server.Os}} {{.Server.APIVersion}}")).toMatch(/^linux 1\.\d\d$/)
  const info = JSON.parse(await ok("info", "--format", "json"))
  expect(info).toMatchObject({
    OSType: "linux",
    Images: 1,
    CgroupVersion: "1",
    LoggingDriver: "json-file",
    Swarm: { LocalNodeState: "inactive" },
  })
  expect(info.MemTotal).toBeGreaterThan(1e8)
  expect(info.NCPU).toBeGreaterThan(0)
  await ok("run", "-d", "--name", "counted", "busybox", "sleep", "100")
  expect(await ok("info", "--format", "{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}}")).toBe(
    "1 1 0",
  )
  await ok("rm", "-f", "counted")
  expect((await docker("info")).code).toBe(0)
})

proof(["volume ls", "volume create", "volume inspect", "volume rm", "volume prune"], "volumes", async () => {
  expect(await ok("volume", "create", "--label", "use=test", "named")).toBe("named")
  expect(await ok("volume", "create")).toMatch(/^[0-9a-f]{64}$/)
  const [shown] = JSON.parse(await ok("volume", "inspect", "named"))
  expect(shown).toMatchObject({ Name: "named", Driver: "local", Scope: "local", Labels: { use: "test" } })
  expect(shown.Mountpoint).toContain(engine.root)
  expect(await ok("volume", "ls", "-q", "-f", "label=use=test")).toBe("named")
  expect(await ok("volume", "ls", "-q", "-f", "name=nam")).toBe("named")
  expect((await ok("volume", "ls", "-q", "-f", "dangling=true")).split("\n")).toHaveLength(2)
  expect((await docker("volume", "create", "../bad")).code).toBe(1)
  expect((await docker("volume", "inspect", "absent")).stderr).toMatch(/no such volume/)
  await ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "memory")
  expect(
    await ok("run", "--rm", "-v", "memory:/m", "busybox", "sh", "-c", "grep ' /m ' /proc/mounts"),
  ).toMatch(/^tmpfs \/m tmpfs .*size=1024k/)
  expect(await ok("volume", "prune", "-f")).toMatch(
    /^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed space: 0B$/,
  )
  expect((await ok("volume", "ls", "-q")).split("\n").sort()).toEqual(["memory", "named"])
  expect(await ok("volume", "prune", "-af", "--filter", "label=use=test")).toContain("named")
  await ok("volume", "rm", "memory")
  expect((await docker("volume", "rm", "absent")).code).toBe(1)
  await ok("volume", "rm", "-f", "absent")
})

proof(["system df", "system prune", "container prune", "container ls"], "df and prune", async () => {
  await ok(
    "run",
    "--name",
    "done",
    "--label",
    "keep=no",
    "busybox",
    "sh",
    "-c",
    "head -c 200000 /dev/zero > /f",
  )
  await ok("create", "--name", "kept", "--label", "keep=yes", "busybox")
  await ok("run", "-d", "--name", "alive", "-v", "used:/u", "busybox", "sleep", "100")
  expect(await ok("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}")).toBe(
    "Images 1 1\nContainers 3 1\nLocal Volumes 1 1\nBuild Cache 0 0",
  )
  expect(await ok("system", "df", "-v")).toContain("alive")
  expect(await ok("container", "prune", "-f", "--filter", "label!=keep=yes")).toMatch(
    /^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 2\d\dkB$/,
  )
  expect(await ok("container", "ls", "-a", "--format", "{{.Names}}")).toBe("alive\nkept")
  expect(await ok("system", "prune", "-f")).toContain("Deleted Containers")
  expect(await ok("ps", "-a", "--format", "{{.Names}}")).toBe("alive")
  await ok("rm", "-f", "alive")
  await ok("volume", "rm", "used")
})
