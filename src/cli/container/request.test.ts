import { expect, test } from "bun:test"
import { parseFlags } from "../flags.ts"
import { runFlags } from "./flags.ts"
import { createRequest } from "./request.ts"

interface Made {
  [key: string]: unknown
  HostConfig: Record<string, unknown>
}
const make = (...words: string[]) => {
  const parsed = parseFlags(words, runFlags, { interspersed: false })
  const options = { detach: parsed.bool("detach"), env: { HOME: "/h" }, consoleSize: [0, 0] as const }
  return JSON.parse(JSON.stringify(createRequest(parsed, options))) as Made
}

test("image, command, entrypoint", () => {
  expect(make("img", "a", "-b")).toMatchObject({ Image: "img", Cmd: ["a", "-b"] })
  expect(make("img").Cmd).toBeUndefined()
  expect(make("--entrypoint", "", "img").Entrypoint).toEqual([""])
  expect(make("--entrypoint", "sh", "img").Entrypoint).toEqual(["sh"])
})

test("streams: attached, interactive, detached", () => {
  expect(make("img")).toMatchObject({ AttachStdin: false, AttachStdout: true, OpenStdin: false })
  expect(make("-i", "img")).toMatchObject({ AttachStdin: true, OpenStdin: true, StdinOnce: true })
  expect(make("-di", "img")).toMatchObject({ AttachStdin: false, AttachStdout: false, StdinOnce: false })
  expect(make("-a", "stderr", "img")).toMatchObject({ AttachStdout: false, AttachStderr: true })
})

test("limits and modes", () => {
  const { HostConfig } = make(
    ...[
      "-m",
      "64m",
      "--cpus",
      "1.5",
      "--pids-limit",
      "9",
      "--ulimit",
      "nofile=1:2",
      "--device",
      "/dev/null:rw",
    ],
    ...["--restart", "on-failure:3", "--shm-size", "1m", "--add-host", "a=1.2.3.4", "--gpus", "all", "img"],
  )
  expect(HostConfig).toMatchObject({
    Memory: 64 * 1024 * 1024,
    NanoCpus: 1.5e9,
    PidsLimit: 9,
    Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
    Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/null", CgroupPermissions: "rw" }],
    RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
    ShmSize: 1024 * 1024,
    ExtraHosts: ["a:1.2.3.4"],
    DeviceRequests: [{ Count: -1 }],
  })
})

test("networks: a name, fields, aliases, addresses", () => {
  expect(make("--network", "none", "img").HostConfig.NetworkMode).toBe("none")
  expect(make("--net", "name=n,alias=a", "--ip", "1.2.3.4", "img")).toMatchObject({
    HostConfig: { NetworkMode: "n" },
    NetworkingConfig: { EndpointsConfig: { n: { Aliases: ["a"], IPAMConfig: { IPv4Address: "1.2.3.4" } } } },
  })
})

test("what cannot be meant is refused", () => {
  for (const [words, message] of [
    [["--rm", "--restart", "always"], "conflicting options: cannot specify both --restart and --rm"],
    [["--pid", "x"], "--pid: invalid PID mode"],
    [["--mac-address", "x"], "x is not a valid mac address"],
    [["--security-opt", "x"], 'Invalid --security-opt: "x"'],
    [["--no-healthcheck", "--health-cmd", "x"], "--no-healthcheck conflicts with --health-* options"],
    [["-m", "1x"], 'invalid argument "1x" for "-m, --memory" flag: invalid suffix: \'x\''],
    [["--label", ""], 'invalid argument "" for "-l, --label" flag: invalid label \'\': empty name'],
  ] as const)
    expect(() => make(...words, "img")).toThrow(message)
})
