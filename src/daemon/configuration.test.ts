// Flags, file and defaults of the daemon.
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { configure, helpText } from "./configuration.ts"

const directory = mkdtempSync(join(tmpdir(), "sloop-conf-"))
afterAll(() => rmSync(directory, { recursive: true }))

const file = (contents: unknown): string => {
  const path = join(directory, "daemon.json")
  writeFileSync(path, typeof contents === "string" ? contents : JSON.stringify(contents))
  return path
}

test("the socket lies in the run root unless hosts are named", () => {
  expect(configure(["--run-root", "/r", "--data-root=/d"])).toMatchObject({
    dataRoot: "/d",
    runRoot: "/r",
    hosts: ["unix:///r/sloop.sock"],
  })
  const { hosts } = configure(["-H", "unix:///a", "--host=tcp://127.0.0.1:1"])
  expect(hosts).toEqual(["unix:///a", "tcp://127.0.0.1:1"])
})

test("docker's socket comes beside the others, from the flag or the file", () => {
  expect(configure(["--docker-socket", "--run-root", "/r"]).hosts).toEqual([
    "unix:///r/sloop.sock",
    "unix:///var/run/docker.sock",
  ])
  const path = file({ "docker-socket": true, hosts: ["fd://"], tlsverify: true, tlscert: "/c" })
  expect(configure(["--config-file", path])).toMatchObject({
    hosts: ["fd://", "unix:///var/run/docker.sock"],
    tlsverify: true,
    tlscert: "/c",
  })
  for (const driver of ["json-file", "local", "none", "fluentd", "journald", "syslog"])
    expect(configure(["--log-driver", driver])["log-driver"]).toBe(driver)
  expect(() => configure(["--log-driver", "gelf"])).toThrow(/must be one of json-file/)
})

test("flags win over the file", () => {
  const path = file({ "log-level": "warn", bip: "10.9.0.1/24", "log-opts": { "max-size": "1m" }, init: true })
  const found = configure(["--config-file", path, "--log-level=debug", "--log-opt", "max-file=2"])
  expect(found).toMatchObject({ "log-level": "debug", bip: "10.9.0.1/24", init: true })
  expect(found["log-opts"]).toEqual({ "max-file": "2" })
})

test("address pools are given as dockerd takes them", () => {
  const pools = [{ base: "10.10.0.0/16", size: 24 }, "10.11.0.0/24"]
  const path = file({ "default-address-pools": pools })
  expect(configure(["--config-file", path])["default-address-pools"]).toEqual([
    "base=10.10.0.0/16,size=24",
    "10.11.0.0/24",
  ])
  const flags = [
    "--default-address-pool",
    "base=10.12.0.0/16,size=26",
    "--default-address-pool=base=fd00::/40,size=64",
  ]
  expect(configure(flags)["default-address-pools"]).toEqual([
    "base=10.12.0.0/16,size=26",
    "base=fd00::/40,size=64",
  ])
  const wrong = file({ "default-address-pools": [{ base: "10.10.0.0/16" }] })
  expect(() => configure(["--config-file", wrong])).toThrow(/base=CIDR,size=N/)
})

test("what is wrong is named", () => {
  const cases: [argv: string[], expected: string | RegExp][] = [
    [["--colour"], /unknown option --colour/],
    [["extra"], /unknown option extra/],
    [["--data-root"], "--data-root needs a value"],
    [["--data-root="], "--data-root needs a value"],
    [["--host-gateway-ip", "here"], /must be an IP address/],
    [["--stop-timeout=soon"], "--stop-timeout needs a whole number, not soon"],
    [["--init=maybe"], "--init is true or false, not maybe"],
    [["--log-opt=x"], "--log-opt needs KEY=VALUE, not x"],
    [["--log-level=loud"], /log-level: must be debug, info, warn or error/],
    [[`--run-root=/${"x".repeat(80)}`], /is too long/],
    [["--config-file", "/nonexistent"], /the configuration \/nonexistent is wrong: ENOENT/],
    [["--config-file", file("{")], /is wrong/],
  ]
  for (const [argv, expected] of cases) expect(() => configure(argv)).toThrow(expected)
  expect(() => configure(["--config-file", file({ colour: "red" })])).toThrow(/colour/)
})

test("the help names every option", () => {
  for (const flag of ["--data-root", "--host", "--bip", "--launcher", "--config-file"]) {
    expect(helpText()).toContain(flag)
  }
})
