// The monitor with real processes: ends, streams, stdin, ttys, execs, watching.
import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { connect, decodeReport, startLauncher } from "./client.ts"
import { demultiplex, exec, launch, monitorOf, shell, until } from "./monitored.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

test("an exit code is told, recorded before, and the log is complete", async () => {
  const before = Date.now()
  const container = await shell(launcher, "echo out; echo err >&2; printf end; exit 7")
  await container.started()
  const ended = await container.ended()
  expect(ended.fields.slice(0, 3)).toEqual(["7", "0", "0"])
  expect(Number(BigInt(ended.fields[3] ?? "0") / 1000000n)).toBeWithin(before - 1, Date.now() + 1)
  expect(decodeReport(readFileSync(join(container.directory, "exit")))).toEqual(ended)
  expect(container.text("stdout")).toBe("out\nend")
  expect(container.text("stderr")).toBe("err\n")
  expect(existsSync(container.socket)).toBe(false)
  expect(await container.plan.frame()).toBeUndefined()
})

test("a signal ends the init and is told as 128 and the signal", async () => {
  const container = await shell(launcher, "sleep 100")
  await container.started()
  expect((await container.ask([["signal"], ["number", 9]])).kind).toBe("ok")
  expect((await container.ended()).fields.slice(0, 2)).toEqual(["137", "9"])
})

test("attached clients get both streams in frames and the end of the connection", async () => {
  const container = await shell(launcher, "echo one; echo two >&2; sleep 0.1; echo three", { expect: 2 })
  const all = container.started().then(() => container.attach("stdout,stderr"))
  await all
  const errors = await container.attach("stderr")
  expect(demultiplex(await (await all).rest())).toEqual({ stdout: "one\nthree\n", stderr: "two\n" })
  expect(demultiplex(await errors.rest())).toEqual({ stdout: "", stderr: "two\n" })
  await container.ended()
})

test("attach-expect: output and end wait for the clients", async () => {
  const container = await shell(launcher, "echo early", { expect: 1 })
  await container.started()
  let told = false
  const end = container.ended().then((report) => {
    told = true
    return report
  })
  await until(() => existsSync(join(container.directory, "exit")), "the end is recorded")
  await Bun.sleep(50)
  expect(told).toBe(false)
  expect(existsSync(container.log)).toBe(false)
  const client = await container.attach("stdout")
  expect(demultiplex(await client.rest()).stdout).toBe("early\n")
  expect((await end).fields[0]).toBe("0")
})

test("who is expected may dial as soon as the monitor listens, before the process runs", async () => {
  const container = await shell(launcher, "echo early", { expect: 1 })
  expect((await container.plan.report()).kind).toBe("listening")
  const client = await container.attach("stdout")
  await container.started()
  expect(demultiplex(await client.rest()).stdout).toBe("early\n")
  expect((await container.ended()).fields[0]).toBe("0")
})

test("who dials a launch that fails is hung up on", async () => {
  const container = await launch(launcher, ["/bin/nothing"], { expect: 1 })
  expect((await container.plan.report()).kind).toBe("listening")
  const client = await container.attach("stdout").catch(() => undefined)
  expect((await container.plan.report()).kind).toBe("failed")
  expect(client).toBeUndefined()
})

test("attach-expect ends with the plan's connection, and the container lives on without it", async () => {
  const container = await shell(launcher, "sleep 0.2; echo alone", { expect: 1 })
  await container.started()
  container.plan.close()
  await until(() => existsSync(join(container.directory, "exit")), "the end is recorded")
  await until(() => container.text("stdout") === "alone\n", "the log is there")
})

test("stdin: bytes go in, the first half-close ends it", async () => {
  const container = await launch(launcher, ["/bin/cat"], { stdin: "open", expect: 1 })
  await container.started()
  const client = await container.attach("stdin,stdout")
  const text = "0123456789abcdef\n".repeat(40000)
  client.socket.write(text)
  client.socket.end()
  expect(demultiplex(await client.rest()).stdout).toBe(text)
  expect((await container.ended()).fields[0]).toBe("0")
})

test("stdin kept open outlives its clients", async () => {
  const container = await launch(launcher, ["/bin/cat"], { stdin: "open", once: "keep" })
  await container.started()
  for (const word of ["one\n", "two\n"]) {
    const client = await container.attach("stdin")
    client.socket.end(word)
    await until(() => container.text("stdout").endsWith(word), `${word} is in the log`)
    client.close()
  }
  expect((await container.ask([["state"]])).kind).toBe("ok")
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})

test("a process that never reads its stdin stalls only the client that writes", async () => {
  const container = await shell(launcher, "sleep 0.3; echo done", { stdin: "open", expect: 1 })
  await container.started()
  const client = await container.attach("stdin,stdout")
  client.socket.write(Buffer.alloc(4 << 20, 120))
  expect((await container.ended()).fields[0]).toBe("0")
  expect(demultiplex(await client.rest()).stdout).toBe("done\n")
})

test("a tty: raw bytes, the size given and changed, the end of a client's input means nothing", async () => {
  const script = "trap 'stty size; exit 3' WINCH; stty size; while :; do sleep 0.05; done"
  const container = await shell(launcher, script, { tty: true, stdin: "open", expect: 1, rows: 24, cols: 80 })
  await container.started()
  const client = await container.attach("stdin,stdout")
  client.socket.end()
  await until(() => container.text("stdout").includes("24 80\r\n"), "the first size is shown")
  expect((await container.ask([["resize"], ["size", 30, 100]])).kind).toBe("ok")
  expect((await container.ended()).fields[0]).toBe("3")
  expect((await client.rest()).toString()).toBe("24 80\r\n30 100\r\n")
})

test("a tty's input reaches the process", async () => {
  const container = await shell(launcher, "read line; echo got $line", {
    tty: true,
    stdin: "open",
    expect: 1,
  })
  await container.started()
  const client = await container.attach("stdin,stdout")
  client.socket.write("word\r")
  await container.ended()
  expect((await client.rest()).toString()).toBe("word\r\ngot word\r\n")
})

test("resize without a tty and signals to nobody are refused with a reason", async () => {
  const container = await shell(launcher, "sleep 100")
  await container.started()
  expect((await container.ask([["resize"], ["size", 3, 3]])).fields[3]).toContain("no tty")
  expect((await container.ask([["signal"], ["number", 65]])).kind).toBe("failed")
  expect((await container.ask([["signal"], ["number", 9], ["exec", "nobody"]])).fields.slice(0, 3)).toEqual([
    "exec",
    "nobody",
    "3",
  ])
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})

test("watch: started at once, exited at the end", async () => {
  const container = await shell(launcher, "sleep 0.2; exit 5")
  const pid = await container.started()
  const watcher = await connect(container.socket)
  watcher.send([["watch"]])
  const reports = await watcher.reports()
  expect(reports.map((report) => [report.kind, report.fields[0]])).toEqual([
    ["started", String(pid)],
    ["exited", "5"],
  ])
})

test("exec: own streams, own code, not in the log", async () => {
  const container = await shell(launcher, "sleep 100")
  await container.started()
  const running = await exec(container, "e1", "echo hello; echo bad >&2; exit 4", { expect: 1 })
  expect((await running.report()).kind).toBe("started")
  const client = await container.attach("stdout,stderr", "e1")
  expect(demultiplex(await client.rest())).toEqual({ stdout: "hello\n", stderr: "bad\n" })
  expect((await running.report()).fields[0]).toBe("4")
  expect(await running.frame()).toBeUndefined()
  expect(existsSync(container.log)).toBe(false)
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})

test("exec: stdin, signal, and an end that is watched after the fact", async () => {
  const container = await shell(launcher, "sleep 100")
  const init = await container.started()
  const cat = await exec(container, "cat", "cat", { stdin: "open", expect: 1 })
  await cat.report()
  const client = await container.attach("stdin,stdout", "cat")
  client.socket.end("through")
  expect(demultiplex(await client.rest()).stdout).toBe("through")
  expect((await cat.report()).fields[0]).toBe("0")

  const doomed = await exec(container, "doomed", "sleep 100")
  await doomed.report()
  expect((await exec(container, "doomed", "true").then((again) => again.report())).fields[3]).toContain(
    "of that ID",
  )
  expect((await container.ask([["state"]])).values).toEqual({ pid: String(init), execs: "1", dropped: "0" })
  doomed.close()
  await container.ask([["signal"], ["number", 15], ["exec", "doomed"]])
  await until(() => !existsSync(`/proc/${init}/gone`), "a moment has passed")
  await Bun.sleep(100)
  const late = await connect(container.socket)
  late.send([["watch"], ["exec", "doomed"]])
  expect((await late.reports()).map((report) => `${report.kind} ${report.fields[0]}`)[1]).toBe("exited 143")
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})

test("exec with a tty of its own, resized by its ID", async () => {
  const container = await shell(launcher, "sleep 100")
  await container.started()
  const script = "trap 'stty size; exit 3' WINCH; stty size; while :; do sleep 0.05; done"
  const running = await exec(container, "t", script, {
    tty: true,
    stdin: "open",
    expect: 1,
    rows: 10,
    cols: 20,
  })
  await running.report()
  const client = await container.attach("stdin,stdout", "t")
  await Bun.sleep(150)
  expect((await container.ask([["resize"], ["size", 11, 21], ["exec", "t"]])).kind).toBe("ok")
  expect((await client.rest()).toString()).toBe("10 20\r\n11 21\r\n")
  expect((await running.report()).fields[0]).toBe("3")
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})

test("an exec that cannot start is told as failed, and the container lives on", async () => {
  const container = await shell(launcher, "sleep 100")
  await container.started()
  const connection = await connect(container.socket)
  connection.send([
    ["exec", "x"],
    ["stdio", "pipe", "closed", "once", 0, 0],
    ["cwd", "/", "exist"],
    ["argv", "/no/such"],
  ])
  const failed = await connection.report()
  expect([failed.kind, failed.fields[0], failed.fields[2]]).toEqual(["failed", "exec", "2"])
  connection.send([["state"]])
  expect((await connection.report()).values.execs).toBe("0")
  connection.close()
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})

test("the last 64 ends of execs are known", async () => {
  const container = await shell(launcher, "sleep 100")
  await container.started()
  for (let n = 0; n < 70; n++) {
    const running = await exec(container, `n${n}`, `exit ${n}`)
    await running.report()
    expect((await running.report()).fields[0]).toBe(String(n))
  }
  const late = async (id: string) => {
    const connection = await connect(container.socket)
    connection.send([["watch"], ["exec", id]])
    const report = await connection.report()
    connection.close()
    return report.kind
  }
  expect([await late("n0"), await late("n5"), await late("n6"), await late("n69")]).toEqual([
    "failed",
    "failed",
    "started",
    "started",
  ])
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})

test("a background process that keeps the pipe does not delay the end", async () => {
  const container = await shell(launcher, "sleep 100")
  await container.started()
  const left = await exec(container, "left", "sleep 50 & echo told")
  const from = Date.now()
  await left.report()
  expect((await left.report()).fields[0]).toBe("0")
  expect(Date.now() - from).toBeLessThan(1000)
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})

test("a plan that cannot be performed fails clearly and leaves no socket", async () => {
  const container = await shell(launcher, "true", { extra: [["reserve-port", "tcp", "127.0.0.1", "70000"]] })
  const report = await container.plan.report()
  expect(report.kind).toBe("failed")
  expect(report.fields[0]).toBe("reserve-port")
  expect(existsSync(container.socket)).toBe(false)
})

test("a reserved port is taken while the container lives, and free afterwards", async () => {
  const port = { extra: [["reserve-port", "tcp", "127.0.0.1", 42917]] as const }
  const first = await shell(launcher, "sleep 100", port)
  await first.started()
  const second = await shell(launcher, "true", port)
  const refused = await second.plan.report()
  expect(refused.fields[3]).toBe("failed to bind host port 127.0.0.1:42917/tcp: address already in use")
  await first.ask([["signal"], ["number", 9]])
  await first.ended()
  expect(await first.plan.frame()).toBeUndefined()
  const third = await shell(launcher, "true", port)
  await third.started()
  await third.ended()
})

test("the monitor keeps only its own descriptors and names itself", async () => {
  const container = await shell(launcher, "sleep 100")
  const monitor = monitorOf(await container.started())
  await until(() => readFileSync(`/proc/${monitor}/comm`, "utf8") === "sloop-monitor\n", "the name is set")
  const descriptors = [...new Bun.Glob("*").scanSync({ cwd: `/proc/${monitor}/fd`, onlyFiles: false })]
  expect(descriptors.length).toBeLessThanOrEqual(12)
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
})
