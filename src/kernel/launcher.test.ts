// The client against a scripted launcher: every way a conversation can go.
import { afterEach, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { errorKind } from "../base/errors.ts"
import { decodeFields, FrameReader } from "./frames.ts"
import { LauncherFailure, openKernel } from "./kernel.ts"
import { frameHeader, frameKind, writeHeader } from "./plan.ts"

type Answer = (socket: Socket, words: readonly string[], rest: () => Promise<Buffer>) => void | Promise<void>

const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

const frame = (kind: number, payload: Buffer): Buffer => {
  const header = Buffer.alloc(frameHeader)
  writeHeader(header, kind, payload.length)
  return Buffer.concat([header, payload])
}
const report = (...fields: string[]): Buffer =>
  frame(frameKind.report, Buffer.from(fields.map((field) => `${field}\0`).join("")))
const data = (bytes: Buffer): Buffer => frame(frameKind.data, bytes)

/**
 * A launcher that answers `version` with a process that cannot be compared, and leaves the rest to the script. Tells how
 * many connections were made to it.
 */
async function listen(path: string, answer: Answer): Promise<() => number> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    connections++
    let got: Buffer = Buffer.alloc(0)
    let planned = false
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    socket.on("error", () => {})
    socket.on("end", () => resolve())
    socket.on("data", (chunk: Buffer) => {
      got = Buffer.concat([got, chunk])
      if (planned || got.length < frameHeader || got.length < frameHeader + got.readUInt32LE(4)) return
      planned = true
      const end = frameHeader + got.readUInt32LE(4)
      const words = decodeFields(got.subarray(frameHeader, end))
      if (words[0] === "version") socket.end(report("ok", "version", "1", "pid", "0"))
      else
        void answer(socket, words, async () => {
          await ended
          return got.subarray(end)
        })
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return () => connections
}

async function scripted(answer: Answer, monitor?: Answer) {
  const root = mkdtempSync(join(tmpdir(), "sloop-kernel-"))
  cleanups.push(() => rmSync(root, { recursive: true, force: true }))
  const connections = await listen(join(root, "launcher.sock"), answer)
  const monitorSocket = join(root, "monitor.sock")
  if (monitor !== undefined) await listen(monitorSocket, monitor)
  const kernel = await openKernel({ launcherBinary: "/nonexistent", runRoot: root, dataRoot: root })
  cleanups.push(() => kernel.close())
  return { root, kernel, monitorSocket, connections }
}

const caught = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error("nothing was thrown")
}

test("an answer is read key by key", async () => {
  const { kernel } = await scripted((socket) => {
    socket.write(report("ok", "name", "a", "name", "b", "size", "3").subarray(0, 11))
    setTimeout(() => socket.end(report("ok", "name", "a", "name", "b", "size", "3").subarray(11)), 5)
  })
  const answer = await kernel.perform([["netns-list"]])
  expect(Object.fromEntries(answer)).toEqual({ name: ["a", "b"], size: ["3"] })
})

test("a failure names step, path, errno and cause", async () => {
  const { kernel } = await scripted((socket) => {
    socket.end(report("failed", "unpack", "/a/b", "28", ""))
  })
  const error = await caught(kernel.perform([["unpack"]]))
  expect(error).toBeInstanceOf(LauncherFailure)
  expect(error).toMatchObject({
    kind: "exhausted",
    step: "unpack",
    path: "/a/b",
    errno: 28,
    errnoName: "ENOSPC",
    message: "unpack /a/b: no space left on device",
  })
})

test.each([
  ["EADDRINUSE", "98", "reserve-port", "conflict"],
  ["EMFILE", "24", "bind", "exhausted"],
  ["ENOENT", "2", "path", "not-found"],
  ["ENOENT", "2", "bind", "internal"],
  ["ESRCH", "3", "signal", "conflict"],
  ["none", "0", "plan", "invalid"],
])("%s (%s) at %s is %s", async (_, errno, step, kind) => {
  const { kernel } = await scripted((socket) => {
    socket.end(report("failed", step, "", errno, "why"))
  })
  expect(errorKind(await caught(kernel.perform([["x"]])))).toBe(kind as "internal")
})

test("a launcher that hangs up without an answer is unavailable", async () => {
  const { kernel } = await scripted((socket) => {
    socket.end()
  })
  expect(errorKind(await caught(kernel.perform([["stat"]])))).toBe("unavailable")
})

test("bytes are sent in frames and ended by an empty one", async () => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const { kernel } = await scripted((socket) => {
    const reader = new FrameReader()
    const parts: Buffer[] = []
    const take = (chunk: Buffer) => {
      reader.push(chunk)
      for (let got = reader.read(); got !== undefined; got = reader.read()) {
        if (got.type === "data") parts.push(Buffer.from(got.bytes))
        if (got.type === "end") {
          resolve(Buffer.concat(parts).toString())
          socket.end(report("ok", "entries", "2"))
        }
      }
    }
    socket.on("data", take)
  })
  async function* bytes() {
    await sleep(20)
    yield Buffer.from("one ")
    yield Buffer.alloc(0)
    await sleep(5)
    yield Buffer.from("two")
  }
  const answer = kernel.send([["unpack"]], bytes())
  expect((await answer).get("entries")).toEqual(["2"])
  expect(await promise).toBe("one two")
})

test("a failure in the midst of sending ends the sending", async () => {
  const { kernel } = await scripted((socket) => {
    socket.end(report("failed", "unpack", "/x", "28", ""))
  })
  let given = 0
  async function* endless() {
    for (;;) {
      given += 1
      yield Buffer.alloc(1 << 20)
      await sleep(1)
    }
  }
  expect(errorKind(await caught(kernel.send([["unpack"]], endless())))).toBe("exhausted")
  expect(given).toBeLessThan(1000)
})

test("bytes are received without waiting for the whole", async () => {
  const { kernel } = await scripted((socket) => {
    socket.write(data(Buffer.from("one ")))
    socket.write(data(Buffer.alloc(3 << 18, 65)))
    socket.write(data(Buffer.alloc(0)))
    socket.end(report("ok"))
  })
  let length = 0
  for await (const chunk of kernel.receive([["pack"]])) length += chunk.length
  expect(length).toBe(4 + (3 << 18))
})

test("a slow reader holds the launcher back", async () => {
  let written = 0
  const { kernel } = await scripted(async (socket) => {
    for (let index = 0; index < 64 && !socket.destroyed; index++) {
      const flowing = socket.write(data(Buffer.alloc(1 << 20)))
      written = index + 1
      if (!flowing) await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), sleep(300)])
      if (socket.writableLength > 0) break
    }
  })
  for await (const chunk of kernel.receive([["pack"]])) {
    expect(chunk.length).toBeGreaterThan(0)
    await sleep(400)
    break
  }
  expect(written).toBeLessThan(16)
})

test("an abort ends the request", async () => {
  const { kernel } = await scripted(() => {})
  const cancel = new AbortController()
  const request = kernel.perform([["usage"]], cancel.signal)
  setTimeout(() => cancel.abort(), 10)
  expect(errorKind(await caught(request))).toBe("cancelled")
  expect(errorKind(await caught(kernel.perform([["usage"]], cancel.signal)))).toBe("cancelled")
})

const exited = (code: string): Buffer => report("exited", code, "0", "0", "1700000000123456789", "")

test("a launch is started, then exited on the same connection", async () => {
  const { kernel, monitorSocket } = await scripted(async (socket, words) => {
    expect(words).toEqual(["launch", "1", "box", "init", "0"])
    socket.write(report("started", "42"))
    await sleep(10)
    socket.end(exited("3"))
  })
  const monitor = await kernel.launch("box", [["init"]], monitorSocket)
  expect(monitor.pid).toBe(42)
  expect(await monitor.exited).toEqual({
    code: 3,
    signal: 0,
    oom: false,
    finishedAt: 1700000000123.456,
    reason: "",
  })
})

test("a launch leaves in the same tick over a connection made ahead, and the next one is made after it", async () => {
  const sockets = new Set<Socket>()
  const { kernel, monitorSocket, connections } = await scripted((socket) => {
    sockets.add(socket)
    socket.write(report("started", "42"))
  })
  for (const round of [1, 2]) {
    await sleep(40)
    const before = connections()
    let sent = false
    const launch = kernel.launch("box", [], monitorSocket, {
      sent: () => {
        sent = true
      },
    })
    expect(sent).toBe(true)
    expect((await launch).pid).toBe(42)
    expect(connections()).toBe(before)
    expect(sockets.size).toBe(round)
  }
})

test("launches at once share no connection", async () => {
  let launches = 0
  const { kernel, monitorSocket } = await scripted((socket) => {
    socket.write(report("started", String(++launches)))
  })
  await sleep(40)
  const all = await Promise.all(Array.from({ length: 8 }, () => kernel.launch("box", [], monitorSocket)))
  expect(new Set(all.map(({ pid }) => pid)).size).toBe(8)
})

test("a launch that lost its connection watches the monitor", async () => {
  const { kernel, monitorSocket } = await scripted(
    (socket) => {
      socket.end(report("started", "42"))
    },
    async (socket, words) => {
      expect(words).toEqual(["watch", "0"])
      socket.write(report("started", "42"))
      await sleep(5)
      socket.end(exited("4"))
    },
  )
  const monitor = await kernel.launch("box", [], monitorSocket)
  expect((await monitor.exited).code).toBe(4)
})

test("without a monitor the exit record tells, and without that the end is a kill", async () => {
  const { root, kernel, monitorSocket } = await scripted((socket) => {
    socket.end(report("started", "42"))
  })
  const record = join(root, "exit")
  writeFileSync(record, "exited\x005\x000\x001\x001700000000000000000\x00why\0")
  const first = await kernel.launch("box", [], monitorSocket, { exitRecord: record })
  expect(await first.exited).toMatchObject({ code: 5, oom: true, reason: "why" })
  const second = await kernel.launch("box", [], monitorSocket, { exitRecord: join(root, "none") })
  expect(await second.exited).toMatchObject({ code: 137, reason: "the container's monitor was killed" })
})

test("a launch that failed throws what failed, and is not tried again", async () => {
  let launches = 0
  const { kernel, monitorSocket } = await scripted((socket) => {
    launches += 1
    socket.end(report("failed", "exec", "foo", "2", ""))
  })
  expect(await caught(kernel.launch("box", [], monitorSocket))).toMatchObject({ step: "exec", path: "foo" })
  expect(launches).toBe(1)
})

test("a monitor is found again, or it is not there", async () => {
  const { root, kernel, monitorSocket } = await scripted(
    () => {},
    (socket) => {
      socket.write(report("started", "7"))
    },
  )
  expect((await kernel.rejoin(monitorSocket))?.pid).toBe(7)
  expect(await kernel.rejoin(join(root, "nobody.sock"))).toBeUndefined()
})

test("attached bytes follow the answer, whenever someone listens", async () => {
  const { kernel, monitorSocket } = await scripted(
    (socket) => {
      socket.write(report("started", "42"))
    },
    async (socket, words, rest) => {
      expect(words).toEqual(["attach", "0", "streams", "1", "stdin,stdout"])
      socket.write(Buffer.concat([report("ok"), Buffer.from("first ")]))
      socket.write(Buffer.alloc(2 << 20, 66))
      socket.end(await rest())
    },
  )
  const monitor = await kernel.launch("box", [], monitorSocket)
  const stream = await monitor.attach({ stdin: true, stdout: true, stderr: false })
  await sleep(30)
  let text = ""
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString()
  })
  stream.on("end", () => resolve())
  stream.end("typed")
  await promise
  expect(text.length).toBe(6 + (2 << 20) + 5)
  expect(text.startsWith("first B")).toBe(true)
  expect(text.endsWith("Btyped")).toBe(true)
})

test("requests to a monitor that has gone are a conflict", async () => {
  const { kernel, monitorSocket } = await scripted((socket) => {
    socket.write(report("started", "42"))
  })
  const monitor = await kernel.launch("box", [], monitorSocket)
  for (const request of [
    monitor.signal(15),
    monitor.resize(1, 2),
    monitor.attach({ stdin: false, stdout: true, stderr: true }),
    monitor.exec("e", []),
  ])
    expect(errorKind(await caught(request))).toBe("conflict")
})

test("a socket beneath a long path is reached", async () => {
  const { root, kernel } = await scripted(() => {})
  const deep = join(root, "d".repeat(100), "e".repeat(60))
  mkdirSync(deep, { recursive: true })
  // Node cannot listen there by its path either; the directory's descriptor is a short way to it.
  const near = join(root, "m.sock")
  await listen(near, (socket) => {
    socket.write(report("started", "9"))
  })
  renameSync(near, join(deep, "m.sock"))
  expect((await kernel.rejoin(join(deep, "m.sock")))?.pid).toBe(9)
})

/** A monitor of one exec: it is known from the moment its plan was read, as in the real one. */
async function execMonitor(attachable: () => boolean) {
  const dialled: string[] = []
  let known = false
  const made = await scripted(
    (socket) => {
      socket.write(report("started", "42"))
    },
    (socket, words) => {
      dialled.push(words[0] ?? "")
      if (words[0] === "exec") {
        known = true
        socket.write(report("started", "43"))
      } else if (known && attachable()) {
        socket.end(Buffer.concat([report("ok"), Buffer.from("out")]))
      } else socket.end(report("failed", "exec", "e", "3", "no such exec"))
    },
  )
  return { ...made, dialled, monitor: await made.kernel.launch("box", [], made.monitorSocket) }
}
const textOf = async (stream: AsyncIterable<Buffer> | undefined): Promise<string> => {
  let text = ""
  for await (const chunk of stream ?? []) text += chunk.toString()
  return text
}
const output = { stdin: false, stdout: true, stderr: true }

test("an exec's streams are joined together with its start, also over connections made ahead", async () => {
  const { monitor, dialled } = await execMonitor(() => true)
  for (const ahead of [false, true]) {
    if (ahead) monitor.expectExec()
    const process = await monitor.exec(`e${ahead}`, [], output)
    expect(process.pid).toBe(43)
    expect(await textOf(process.stream)).toBe("out")
  }
  expect(dialled).toEqual(["exec", "attach", "exec", "attach"])
})

test("an attach that was read before its exec is asked again", async () => {
  let tries = 0
  const { monitor, dialled } = await execMonitor(() => ++tries > 1)
  expect(await textOf((await monitor.exec("e", [], output)).stream)).toBe("out")
  expect(dialled).toEqual(["exec", "attach", "attach"])
})

test("connections made ahead that the monitor has closed are made anew, and let go when no exec comes", async () => {
  const { monitor, kernel } = await execMonitor(() => true)
  monitor.expectExec()
  monitor.release()
  monitor.expectExec()
  expect(await textOf((await monitor.exec("e", [], output)).stream)).toBe("out")
  await kernel.close()
})
