// A container that calls itself a router changes the routes of nobody: not of its neighbours, not of this host (CVE-2020-13401).
import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { compile } from "../fixtures/c-program.ts"
import { eventually, startEngine, type TestEngine } from "../fixtures/engine.ts"

let engine: TestEngine
beforeAll(async () => {
  engine = await startEngine()
  compile(join(engine.work, "programs"), join(import.meta.dir, "advertise.c"))
}, 60_000)
afterAll(() => engine.close(), 60_000)

test("forged router advertisements are heeded by no neighbour and not by this host", async () => {
  await engine.ok("network", "create", "--ipv6", "dual")
  const flags = ["-d", "--network", "dual", "busybox", "sleep", "1000"]
  await engine.ok("run", "--name", "victim", ...flags)
  const heed = "com.docker.network.endpoint.sysctls=net.ipv6.conf.IFNAME.accept_ra=2"
  await engine.ok(
    "run",
    "-d",
    "--name",
    "believer",
    "--network",
    `name=dual,"driver-opt=${heed}"`,
    "busybox",
    "sleep",
    "1000",
  )
  const programs = `${join(engine.work, "programs")}:/programs`
  const routes = (name: string) => engine.ok("exec", name, "ip", "-6", "route")
  const before = await routes("victim")
  await eventually(
    "who heeds them has another route",
    async () => {
      await engine.ok(
        "run",
        "--rm",
        "--network",
        "dual",
        "-v",
        programs,
        "busybox",
        "/programs/advertise",
        "eth0",
      )
      return (await routes("believer")).includes("2001:db8:bad::")
    },
    20_000,
  )
  expect(await routes("victim")).toBe(before)
  const id = (await engine.ok("network", "inspect", "-f", "{{.Id}}", "dual")).slice(0, 12)
  const host = spawnSync("ip", ["-6", "route", "show", "dev", `br-${id}`], { encoding: "utf8" }).stdout
  expect(host).not.toContain("2001:db8:bad::")
  await engine.ok("rm", "-f", "victim", "believer")
  await engine.ok("network", "rm", "dual")
}, 60_000)
