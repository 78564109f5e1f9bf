// The lives of containers by the docker client: stop, kill, pause, restart policies, health, wait, rename, update, the daemon's end.
import { afterAll, expect } from "bun:test"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok } = engine
const state = (name: string, format: string) => ok("inspect", "-f", `{{.State.${format}}}`, name)
const ignoring = ["busybox", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]

proof(
  ["stop", "stop --timeout", "stop --signal", "run --stop-timeout"],
  "stop: signal, patience, kill",
  async () => {
    await ok("run", "-d", "--name", "polite", "--init", "busybox", "sleep", "100")
    const before = performance.now()
    expect(await ok("stop", "polite")).toBe("polite")
    expect(performance.now() - before).toBeLessThan(3000)
    expect(await state("polite", "ExitCode")).toBe("143")
    expect(await ok("stop", "polite")).toBe("polite")
    await ok("rm", "polite")
    await ok("run", "-d", "--name", "stubborn", "--stop-timeout", "1", ...ignoring)
    await engine.says("stubborn", "up")
    const since = performance.now()
    await ok("stop", "stubborn")
    expect(performance.now() - since).toBeGreaterThan(900)
    expect(performance.now() - since).toBeLessThan(4000)
    expect(await state("stubborn", "ExitCode")).toBe("137")
    await ok("start", "stubborn")
    await ok("stop", "-t", "0", "stubborn")
    expect(await state("stubborn", "ExitCode")).toBe("137")
    await ok("start", "stubborn")
    await ok("stop", "-s", "KILL", "stubborn")
    expect(await state("stubborn", "ExitCode")).toBe("137")
    await ok("rm", "stubborn")
  },
)

proof(["kill", "kill --signal"], "kill", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "victim",
    "busybox",
    "sh",
    "-c",
    "trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done",
  )
  await eventually("it is up", async () => (await ok("logs", "victim")) === "up")
  await ok("kill", "-s", "SIGUSR1", "victim")
  await eventually("the signal came", async () => (await ok("logs", "victim")) === "up\nusr1")
  await ok("kill", "-s", "10", "victim")
  await eventually("by number too", async () => (await ok("logs", "victim")) === "up\nusr1\nusr1")
  expect((await docker("kill", "-s", "NONSENSE", "victim")).stderr).toContain("invalid signal: NONSENSE")
  await ok("kill", "victim")
  expect(await ok("wait", "victim")).toBe("137")
  const dead = await docker("kill", "victim")
  expect(dead.code).toBe(1)
  expect(dead.stderr).toMatch(/[Cc]annot kill container: victim: .*is not running/)
  await ok("rm", "victim")
})

proof(["pause", "unpause"], "pause stops time, unpause goes on", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "frozen",
    "busybox",
    "sh",
    "-c",
    "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done",
  )
  await ok("pause", "frozen")
  expect(await state("frozen", "Status")).toBe("paused")
  expect(await ok("ps", "--format", "{{.Status}}")).toMatch(/\(Paused\)$/)
  await Bun.sleep(100)
  const before = await ok("logs", "--tail", "1", "frozen")
  await Bun.sleep(200)
  expect(await ok("logs", "--tail", "1", "frozen")).toBe(before)
  expect((await docker("exec", "frozen", "true")).stderr).toContain(
    "is paused, unpause the container before exec",
  )
  expect((await docker("pause", "frozen")).code).toBe(1)
  await ok("unpause", "frozen")
  await eventually("it goes on", async () => (await ok("logs", "--tail", "1", "frozen")) !== before)
  expect((await docker("unpause", "frozen")).stderr).toContain("is not paused")
  await ok("pause", "frozen")
  await ok("rm", "-f", "frozen")
})

proof(["wait"], "wait for several", async () => {
  await ok("run", "-d", "--name", "w1", "busybox", "sh", "-c", "sleep 0.3; exit 3")
  await ok("run", "-d", "--name", "w2", "busybox", "sh", "-c", "exit 4")
  expect(await ok("wait", "w1", "w2")).toBe("3\n4")
  expect(await ok("wait", "w1")).toBe("3")
  await ok("rm", "w1", "w2")
})

proof(["restart", "restart --timeout"], "restart", async () => {
  await ok("run", "-d", "--name", "again", "--init", "busybox", "sh", "-c", "echo start; sleep 100")
  const [pid, started] = [await state("again", "Pid"), await state("again", "StartedAt")]
  await ok("restart", "-t", "1", "again")
  expect(await state("again", "Pid")).not.toBe(pid)
  expect(await state("again", "StartedAt")).not.toBe(started)
  await eventually("both starts are in the log", async () => (await ok("logs", "again")) === "start\nstart")
  await ok("rm", "-f", "again")
})

proof(["run --restart"], "restart policies: on-failure, always, unless-stopped, with back-off", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "failing",
    "--restart",
    "on-failure:2",
    "busybox",
    "sh",
    "-c",
    "echo try; exit 1",
  )
  await eventually(
    "it gave up",
    async () =>
      (await state("failing", "Status")) === "exited" &&
      (await ok("inspect", "-f", "{{.RestartCount}}", "failing")) === "2",
  )
  expect(await ok("logs", "failing")).toBe("try\ntry\ntry")
  await ok("run", "-d", "--name", "fine", "--restart", "on-failure", "busybox", "true")
  await ok("wait", "fine")
  await Bun.sleep(200)
  expect(`${await state("fine", "Status")} ${await ok("inspect", "-f", "{{.RestartCount}}", "fine")}`).toBe(
    "exited 0",
  )
  await ok("run", "-d", "--name", "always", "--restart", "always", "busybox", "sh", "-c", "exit 0")
  // 100, 200 and 400 ms pass before the starts: no storm.
  const since = performance.now()
  const restarts = async () => Number(await ok("inspect", "-f", "{{.RestartCount}}", "always"))
  await eventually("it restarted four times", async () => (await restarts()) >= 4)
  expect(performance.now() - since).toBeGreaterThan(600)
  await ok("stop", "always")
  const stopped = await ok("inspect", "-f", "{{.RestartCount}}", "always")
  await Bun.sleep(300)
  expect(await state("always", "Status")).toBe("exited")
  expect(await ok("inspect", "-f", "{{.RestartCount}}", "always")).toBe(stopped)
  const both = await docker("run", "--rm", "--restart", "always", "busybox", "true")
  expect(both.code).toBe(125)
  expect((await docker("create", "--restart", "sometimes", "busybox")).stderr).toContain(
    "invalid restart policy",
  )
  await ok("rm", "failing", "fine", "always")
})

proof(["run --restart"], "policies at the daemon's restart; running containers survive it", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "stays",
    "busybox",
    "sh",
    "-c",
    "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done",
  )
  await ok("run", "-d", "--name", "unless", "--restart", "unless-stopped", "busybox", "sleep", "100")
  await ok("run", "-d", "--name", "always", "--restart", "always", "busybox", "sleep", "100")
  await ok("kill", "unless")
  await ok("stop", "-t", "0", "unless", "always")
  const pid = await state("stays", "Pid")
  await engine.restart()
  expect(await state("stays", "Pid")).toBe(pid)
  await eventually(
    "always starts with the daemon",
    async () => (await state("always", "Status")) === "running",
  )
  expect(await state("unless", "Status")).toBe("exited")
  await engine.kill9()
  await Bun.sleep(200)
  await engine.start()
  expect(await state("stays", "Pid")).toBe(pid)
  const numbers = (await ok("logs", "stays")).split("\n").map(Number)
  expect(numbers).toEqual(numbers.map((_, index) => index + 1))
  expect(await ok("exec", "stays", "echo", "alive")).toBe("alive")
  await ok("rm", "-f", "stays", "unless", "always")
})

proof(
  [
    "run --health-cmd",
    "run --health-interval",
    "run --health-retries",
    "run --health-timeout",
    "run --health-start-period",
    "run --no-healthcheck",
  ],
  "health",
  async () => {
    const flags = [
      "--health-cmd",
      "test -f /ok && echo fine",
      "--health-interval",
      "100ms",
      "--health-retries",
      "2",
      "--health-timeout",
      "2s",
    ]
    await ok("run", "-d", "--name", "patient", ...flags, "busybox", "sleep", "100")
    expect(await ok("ps", "--format", "{{.Status}}")).toContain("(health: starting)")
    await eventually("it is unhealthy", async () => (await state("patient", "Health.Status")) === "unhealthy")
    await ok("exec", "patient", "touch", "/ok")
    await eventually("it is healthy", async () => (await state("patient", "Health.Status")) === "healthy")
    expect(await ok("inspect", "-f", "{{(index .State.Health.Log 0).ExitCode}}", "patient")).toMatch(/^[01]$/)
    expect(await ok("inspect", "-f", "{{range .State.Health.Log}}{{.Output}}{{end}}", "patient")).toContain(
      "fine",
    )
    expect(await ok("ps", "-q", "--filter", "health=healthy")).not.toBe("")
    await ok("rm", "-f", "patient")
    await ok(
      "run",
      "-d",
      "--name",
      "slow",
      "--health-cmd",
      "sleep 10",
      "--health-interval",
      "100ms",
      "--health-timeout",
      "200ms",
      "--health-retries",
      "1",
      "busybox",
      "sleep",
      "100",
    )
    await eventually("a slow check fails", async () => (await state("slow", "Health.Status")) === "unhealthy")
    expect(await ok("inspect", "-f", "{{(index .State.Health.Log 0).ExitCode}}", "slow")).toBe("-1")
    await ok("rm", "-f", "slow")
    await ok("run", "-d", "--name", "none", "--no-healthcheck", "busybox", "sleep", "100")
    expect(await ok("inspect", "-f", "{{.State.Health}}", "none")).toBe("<nil>")
    await ok("rm", "-f", "none")
  },
)

proof(["rename", "rm", "rm --force", "rm --volumes", "rm --link"], "rename and rm", async () => {
  const id = await ok("run", "-d", "--name", "before", "-v", "/data", "busybox", "sleep", "100")
  await ok("rename", "before", "after")
  expect(await ok("inspect", "-f", "{{.Name}}", id)).toBe("/after")
  expect((await docker("inspect", "before")).code).toBe(1)
  expect((await docker("rename", "after", "bad name")).stderr).toContain("Invalid container name")
  const running = await docker("rm", "after")
  expect(running.code).toBe(1)
  expect(running.stderr).toMatch(/container is running: stop the container before removing or force remove/)
  await ok("rm", "-fv", id.slice(0, 6))
  expect(await ok("volume", "ls", "-q")).toBe("")
  expect((await docker("rm", "after")).stderr).toContain("No such container: after")
  expect((await docker("rm", "-f", "after")).code).toBe(0)
})

proof(
  [
    "update",
    "update --memory",
    "update --cpus",
    "update --pids-limit",
    "update --restart",
    "update --cpu-shares",
  ],
  "update changes the limits of what runs",
  async () => {
    await ok("run", "-d", "--name", "updated", "-m", "64m", "busybox", "sleep", "100")
    const inside = (file: string) => ok("exec", "updated", "cat", `/sys/fs/cgroup/${file}`)
    await ok(
      "update",
      "--memory",
      "128m",
      "--memory-swap",
      "256m",
      "--cpus",
      "0.25",
      "--pids-limit",
      "33",
      "--cpu-shares",
      "256",
      "--restart",
      "on-failure:3",
      "updated",
    )
    expect(await inside("memory/memory.limit_in_bytes")).toBe(String(128 << 20))
    expect(await inside("cpu/cpu.cfs_quota_us")).toBe("25000")
    expect(await inside("cpu/cpu.shares")).toBe("256")
    expect(await inside("pids/pids.max")).toBe("33")
    expect(
      await ok(
        "inspect",
        "-f",
        "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
        "updated",
      ),
    ).toBe(`${128 << 20} on-failure 3`)
    expect((await docker("update", "--memory", "1m", "updated")).code).toBe(1)
    await ok("rm", "-f", "updated")
  },
)

proof(["create", "start"], "create, then start", async () => {
  const id = await ok("create", "--name", "made", "busybox", "sh", "-c", "exit 2")
  expect(await state("made", "Status")).toBe("created")
  expect(await ok("start", "made")).toBe("made")
  expect(await ok("wait", id)).toBe("2")
  expect(await state("made", "FinishedAt")).toMatch(/^\d{4}-/)
  expect((await docker("start", "nobody")).code).toBe(1)
  await ok("rm", "made")
})

proof(["run --rm", "run --detach"], "thirty at once, ten of them in the way of each other", async () => {
  const runs = Array.from({ length: 20 }, (_, index) =>
    docker("run", "--rm", "busybox", "sh", "-c", `echo ${index}; exit ${index}`),
  )
  const named = Array.from({ length: 10 }, () =>
    docker("run", "-d", "--name", "only-one", "busybox", "sleep", "100"),
  )
  const results = await Promise.all(runs)
  expect(results.map(({ code, stdout }) => [code, stdout])).toEqual(
    results.map((_, index) => [index, `${index}\n`]),
  )
  const codes = (await Promise.all(named)).map(({ code }) => code).sort()
  expect(codes).toEqual([0, ...Array.from({ length: 9 }, () => 125)])
  await ok("rm", "-f", "only-one")
  expect(await ok("ps", "-aq")).toBe("")
})
