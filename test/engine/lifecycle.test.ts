// Containers on the real kernel: create, start, attach, wait, logs, stop, kill, exec, remove.
import { afterAll, beforeAll, expect, test } from "bun:test"
import type { ExecConfig } from "../../src/engine/engine.ts"
import { busybox, type Ground, gatherStreams, logText, openGround, run, until } from "./ground.ts"

let ground: Ground

const exec = (command: readonly string[], more: Partial<ExecConfig> = {}): ExecConfig => ({
  command,
  env: [],
  user: "",
  workingDirectory: "",
  tty: false,
  privileged: false,
  attachStdin: false,
  attachStdout: true,
  attachStderr: true,
  ...more,
})

beforeAll(async () => {
  ground = await openGround()
}, 60_000)
afterAll(async () => {
  await ground.close()
}, 60_000)

test("run gives both streams and the exit code", async () => {
  const result = await run(ground.engine, busybox(["sh", "-c", "echo out; echo err >&2; exit 3"]))
  expect(result).toMatchObject({ stdout: "out\n", stderr: "err\n", exitCode: 3 })
  const record = ground.engine.containers.get(result.id)
  expect(record).toMatchObject({ status: "exited", exitCode: 3, pid: 0 })
  await ground.engine.containers.remove(result.id, { force: false, volumes: false })
})

test("no container ends before it started, however short it was", async () => {
  for (let round = 0; round < 20; round++) {
    const { id } = await run(ground.engine, busybox(["true"]))
    const { startedAt, finishedAt } = ground.engine.containers.get(id)
    expect(finishedAt).toBeGreaterThanOrEqual(startedAt)
    await ground.engine.containers.remove(id, { force: false, volumes: false })
  }
})

test("stdin reaches the process and its end ends it", async () => {
  const result = await run(
    ground.engine,
    busybox(["cat"], { openStdin: true, stdinOnce: true, attachStdin: true, autoRemove: true }),
    "hello",
  )
  expect(result).toMatchObject({ stdout: "hello", exitCode: 0 })
  expect(ground.engine.containers.find(result.id)).toBeUndefined()
})

test("a --rm container is gone when the removed wait resolves, and its traces soon after", async () => {
  const { id, exitCode } = await run(
    ground.engine,
    busybox(["true"], { autoRemove: true, volumes: ["/data"] }),
  )
  expect(exitCode).toBe(0)
  expect(ground.engine.containers.find(id)).toBeUndefined()
  await until(() => ground.state.removals.list().length === 0)
  expect(ground.engine.volumes.list()).toEqual([])
  expect(ground.leftovers().filter((path) => path.includes(id))).toEqual([])
})

test("a command that is not there fails the start with 127 and leaves the container created", async () => {
  const { id } = await ground.engine.containers.create({ config: busybox(["/no/such"]) })
  const { stream } = await ground.engine.containers.attach(id, {
    stdin: false,
    stdout: true,
    stderr: true,
    logs: false,
    stream: true,
  })
  await expect(ground.engine.containers.start(id)).rejects.toThrow("no such file or directory")
  expect(await gatherStreams(stream)).toEqual({ stdout: "", stderr: "" })
  expect(ground.engine.containers.get(id)).toMatchObject({ status: "created", exitCode: 127 })
  await ground.engine.containers.remove(id, { force: false, volumes: false })
})

test("names: taken, malformed, by prefix, freed by removal", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({ name: "web", config: busybox(["true"]) })
  await expect(containers.create({ name: "web", config: busybox(["true"]) })).rejects.toThrow(
    `Conflict. The container name "/web" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  )
  await expect(containers.create({ name: "../x", config: busybox(["true"]) })).rejects.toThrow(
    "Invalid container name",
  )
  await expect(containers.create({ config: busybox(["true"], { image: "nope" }) })).rejects.toThrow(
    "No such image: nope:latest",
  )
  expect(containers.get("/web").id).toBe(id)
  expect(containers.get(id.slice(0, 10)).id).toBe(id)
  await containers.rename("web", "www")
  expect(() => containers.get("web")).toThrow("No such container: web")
  await containers.remove("www", { force: false, volumes: false })
  expect(() => containers.get(id)).toThrow("No such container")
  await until(() => ground.state.snapshots.list().every((snapshot) => snapshot.kind !== "active"))
  expect(ground.state.removals.list()).toEqual([])
})

test("stop sends the stop signal, then kills; logs remain", async () => {
  const { containers } = ground.engine
  const script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"
  const { id } = await containers.create({ config: busybox(["sh", "-c", script]) })
  await containers.start(id)
  await expect(containers.start(id)).rejects.toThrow("is already running")
  await until(async () => (await logText(ground, id)).includes("up"))
  await containers.stop(id)
  expect(containers.get(id)).toMatchObject({ status: "exited", exitCode: 7, stoppedByUser: true })
  await expect(containers.stop(id)).rejects.toThrow("is not running")
  expect(await logText(ground, id)).toBe("up\nbye\n")
  await containers.restart(id, { timeout: 0 })
  expect(containers.get(id).status).toBe("running")
  await containers.stop(id, { timeout: 0 })
  // The trap may be set and run in no time at all.
  expect([7, 137]).toContain(containers.get(id).exitCode)
  await containers.remove(id, { force: false, volumes: false })
})

test("kill, pause, unpause, and what they refuse", async () => {
  const { containers, execs } = ground.engine
  const { id } = await containers.create({ name: "sleepy", config: busybox(["sleep", "100"]) })
  await expect(containers.kill("sleepy")).rejects.toThrow(
    `cannot kill container: sleepy: container ${id} is not running`,
  )
  await containers.start(id)
  await containers.pause(id)
  expect(containers.get(id).status).toBe("paused")
  await expect(containers.pause(id)).rejects.toThrow("is already paused")
  await expect(execs.create(id, exec(["true"]))).rejects.toThrow(
    "is paused, unpause the container before exec",
  )
  await containers.unpause(id)
  await expect(containers.unpause(id)).rejects.toThrow("is not paused")
  await expect(containers.remove(id, { force: false, volumes: false })).rejects.toThrow(
    'cannot remove container "/sleepy": container is running: stop the container before removing or force remove',
  )
  await expect(containers.kill(id, "SIGNOPE")).rejects.toThrow("invalid signal")
  await containers.pause(id)
  await containers.kill(id)
  expect(containers.get(id)).toMatchObject({ status: "exited", exitCode: 137 })
  await containers.remove(id, { force: false, volumes: false })
})

test("exec: streams, exit codes, stdin, errors", async () => {
  const { containers, execs } = ground.engine
  const { id } = await containers.create({ config: busybox(["sleep", "100"], { env: ["A=1"] }) })
  await expect(execs.create(id, exec(["true"]))).rejects.toThrow(`container ${id} is not running`)
  await containers.start(id)
  const first = await execs.create(id, exec(["sh", "-c", "echo $A $B; exit 4"], { env: ["B=2"] }))
  const attached = await execs.start(first, { detach: false, tty: false })
  expect(attached === undefined ? undefined : await gatherStreams(attached.stream)).toEqual({
    stdout: "1 2\n",
    stderr: "",
  })
  await until(() => !execs.get(first).running)
  expect(execs.get(first).exitCode).toBe(4)
  await expect(execs.start(first, { detach: false, tty: false })).rejects.toThrow("has already run")
  const second = await execs.create(id, exec(["cat"], { attachStdin: true }))
  const cat = await execs.start(second, { detach: false, tty: false })
  cat?.stream.end("through")
  expect(cat === undefined ? undefined : (await gatherStreams(cat.stream)).stdout).toBe("through")
  const third = await execs.create(id, exec(["nope"]))
  await expect(execs.start(third, { detach: false, tty: false })).rejects.toThrow("executable file not found")
  expect(execs.get(third).exitCode).toBe(127)
  const fourth = await execs.create(id, exec(["true"]))
  expect(await execs.start(fourth, { detach: true, tty: false })).toBeUndefined()
  await until(() => execs.get(fourth).exitCode === 0)
  await containers.remove(id, { force: true, volumes: false })
  expect(() => execs.get(first)).toThrow("No such exec instance")
})

test("a tty: raw bytes, size, detach keys", async () => {
  const { containers } = ground.engine
  const config = busybox(["sh"], { tty: true, openStdin: true, attachStdin: true })
  const { id } = await containers.create({ config })
  const { stream, tty } = await containers.attach(id, {
    stdin: true,
    stdout: true,
    stderr: true,
    logs: false,
    stream: true,
  })
  expect(tty).toBe(true)
  let seen = ""
  stream.on("data", (chunk: Buffer) => {
    seen += chunk.toString()
  })
  const ended = new Promise((resolve) => stream.on("end", resolve))
  await containers.start(id)
  await containers.resize(id, 33, 111)
  stream.write("stty size; echo $TERM\n")
  await until(() => seen.includes("33 111") && seen.includes("xterm"))
  stream.write(Buffer.from([16]))
  stream.write(Buffer.from([17]))
  await ended
  expect(containers.get(id).status).toBe("running")
  await containers.remove(id, { force: true, volumes: false })
})

test("a restart policy starts a failing container again, so many times", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({
    config: busybox(["sh", "-c", "echo again; exit 1"], {
      restart: { name: "on-failure", maximumRetries: 2 },
    }),
  })
  await containers.start(id)
  await until(() => containers.get(id).status === "exited" && containers.get(id).restartCount === 2, 5000)
  expect(await logText(ground, id)).toBe("again\nagain\nagain\n")
  await containers.remove(id, { force: false, volumes: false })
})

test("the default bridge: an address, hosts and hostname", async () => {
  const result = await run(
    ground.engine,
    busybox(["sh", "-c", "hostname; cat /etc/hosts; ip -4 addr show eth0 | grep -c inet"], {
      networkMode: "default",
      hostname: "box",
    }),
  )
  expect(result.stdout).toMatch(/^box\n/)
  expect(result.stdout).toMatch(/\tbox\n/)
  expect(result.stdout).toMatch(/1\n$/)
  await ground.engine.containers.remove(result.id, { force: false, volumes: false })
})

test("another container's network, pid and ipc namespaces", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({
    name: "owner",
    config: busybox(["sleep", "100"], { ipcMode: "shareable" }),
  })
  const config = busybox(
    ["sh", "-c", "ls -l /proc/self/ns/net /proc/self/ns/pid /proc/self/ns/ipc | sed 's/.*-> //'"],
    {
      networkMode: "container:owner",
      pidMode: "container:owner",
      ipcMode: "container:owner",
    },
  )
  const early = await containers.create({ config })
  await expect(containers.start(early.id)).rejects.toThrow(/cannot join \w+ of a non running container/)
  await containers.remove(early.id, { force: false, volumes: false })
  await containers.start(id)
  const { stdout, id: other } = await run(ground.engine, config)
  const ownerPid = containers.get(id).pid
  const { readlinkSync } = await import("node:fs")
  const expected = ["net", "pid", "ipc"].map((kind) => readlinkSync(`/proc/${ownerPid}/ns/${kind}`))
  expect(stdout.trim().split("\n").sort()).toEqual(expected.sort())
  await containers.remove(other, { force: false, volumes: false })
  await containers.remove(id, { force: true, volumes: false })
})

test("what a new container refers to must be there, and its absence is no missing image", async () => {
  const { containers } = ground.engine
  for (const config of [
    busybox(["true"], { networkMode: "container:nobody" }),
    busybox(["true"], { volumesFrom: ["nobody:ro"] }),
  ]) {
    const error = await containers.create({ config }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ kind: "invalid", message: "No such container: nobody" })
  }
  await expect(containers.create({ config: { image: "busybox", entrypoint: [""] } })).rejects.toThrow(
    "no command specified",
  )
  await until(() => ground.state.removals.list().length === 0)
  expect(ground.state.containers.list()).toEqual([])
})

test("a container that waits for its next start can be stopped, removed, waited for", async () => {
  const { containers } = ground.engine
  const failing = busybox(["false"], { restart: { name: "always", maximumRetries: 0 } })
  const { id } = await containers.create({ config: failing })
  await containers.start(id)
  await until(() => containers.get(id).restartCount >= 2 && containers.get(id).status === "restarting")
  await expect(containers.pause(id)).rejects.toThrow("is restarting, wait until the container is running")
  const { ended } = containers.wait(id, "not-running")
  await containers.stop(id)
  expect((await ended).exitCode).toBe(1)
  expect(containers.get(id)).toMatchObject({ status: "exited", exitCode: 1, stoppedByUser: true })
  await Bun.sleep(500)
  expect(containers.get(id).status).toBe("exited")
  await containers.start(id)
  await until(() => containers.get(id).status === "restarting")
  await containers.remove(id, { force: true, volumes: false })
  expect(containers.find(id)).toBeUndefined()
})

test("verbs at the same time on one container: each is whole, one wins", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({ config: busybox(["sleep", "100"]) })
  const starts = await Promise.allSettled([1, 2, 3, 4].map(() => containers.start(id)))
  expect(starts.filter((result) => result.status === "fulfilled").length).toBe(1)
  const [started, stopped] = await Promise.allSettled([
    containers.restart(id, { timeout: 0 }),
    containers.kill(id),
  ])
  expect([started?.status, stopped?.status]).toContain("fulfilled")
  const removals = await Promise.allSettled(
    [1, 2, 3].map(() => containers.remove(id, { force: true, volumes: false })),
  )
  expect(removals.filter((result) => result.status === "fulfilled").length).toBe(1)
  const creations = await Promise.allSettled(
    [1, 2, 3].map(() => containers.create({ name: "same", config: busybox(["true"]) })),
  )
  expect(creations.filter((result) => result.status === "fulfilled").length).toBe(1)
  await containers.remove("same", { force: false, volumes: false })
  await until(() => ground.state.removals.list().length === 0)
  await until(() => ground.leftovers().length === 0)
})

test("a signal that stops nothing, and one that the process handles", async () => {
  const { containers, events } = ground.engine
  const { id } = await containers.create({
    config: busybox(["sh", "-c", "trap 'echo got' USR1; echo up; while :; do sleep 0.02; done"], {
      restart: { name: "unless-stopped", maximumRetries: 0 },
    }),
  })
  await containers.start(id)
  await until(async () => (await logText(ground, id)).includes("up"))
  await containers.kill(id, "USR1")
  await until(async () => (await logText(ground, id)).includes("got"))
  expect(containers.get(id)).toMatchObject({ status: "running", stoppedByUser: false })
  await containers.kill(id)
  expect(containers.get(id)).toMatchObject({ status: "exited", exitCode: 137, stoppedByUser: true })
  const actions = events.recent().flatMap((event) => (event.id === id ? [event.action] : []))
  expect(actions).toEqual(["create", "start", "kill", "kill", "die"])
  await containers.remove(id, { force: false, volumes: false })
})
