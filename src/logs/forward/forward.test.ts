// What is sent on, and from where after a restart; the texts of each receiver.
import { afterAll, expect, test } from "bun:test"
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { createLogs, type LogEntry, parseTarget } from "../logs.ts"
import { syslogLine, tagText } from "./format.ts"

const root = mkdtempSync("/tmp/slf-")
afterAll(() => rmSync(root, { recursive: true, force: true }))
const origin = {
  id: "ab".repeat(32),
  name: "web",
  imageId: `sha256:${"cd".repeat(32)}`,
  imageName: "busybox",
  host: "here",
  attributes: {},
}

/** Every connection's text, by the order in which they came. */
async function listener(path: string) {
  const texts: string[] = []
  const server = createServer((client) => {
    const index = texts.push("") - 1
    client.on("data", (chunk: Buffer) => {
      texts[index] += chunk.toString()
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return { texts, close: () => new Promise((resolve) => server.close(resolve)) }
}

test("the journal has a stream for each of the two, and what was sent is not sent again", async () => {
  const log = join(root, "log")
  const path = join(root, "journal")
  const { texts, close } = await listener(path)
  const write = (stream: string, text: string, second: number) =>
    appendFileSync(
      log,
      `${JSON.stringify({ log: `${text}\n`, stream, time: `2026-01-02T03:04:0${second}Z` })}\n`,
    )
  const forward = () =>
    createLogs().forward({
      path: log,
      target: { driver: "journald", tag: "{{.Name}}", place: { kind: "unix", path } },
      origin,
      positionPath: join(root, "sent"),
      signal: AbortSignal.timeout(5000),
    })
  write("stdout", "one", 1)
  write("stderr", "bad", 1)
  write("stdout", "two", 2)
  await forward()
  // Two lines of one time: only the second is new.
  write("stdout", "three", 2)
  await forward()
  await forward()
  await Bun.sleep(50)
  expect(texts).toEqual([
    "web\n\n6\n0\n0\n0\n0\none\ntwo\n",
    "web\n\n3\n0\n0\n0\n0\nbad\n",
    "web\n\n6\n0\n0\n0\n0\nthree\n",
  ])
  expect(readFileSync(join(root, "sent"), "utf8")).toEndWith(" 2\n")
  await close()
})

test("syslog's formats", () => {
  const entry: LogEntry = {
    stream: "stdout",
    time: "2026-01-02T03:04:05.123456789Z",
    timeNano: 0n,
    line: Buffer.from("said\r\n"),
  }
  const line = (format: string, place = "tcp://h") => {
    const target = parseTarget("syslog", { "syslog-address": place, "syslog-format": format, tag: "t" })
    if (target?.driver !== "syslog") throw new Error("no target")
    return syslogLine(entry, target, origin).toString().replaceAll(String(process.pid), "PID")
  }
  expect(line("rfc5424")).toBe("<30>1 2026-01-02T03:04:05Z here t PID t - said\n")
  expect(line("rfc5424micro", "udp://h")).toBe("<30>1 2026-01-02T03:04:05.123456Z here t PID t - said")
  expect(line("rfc3164")).toMatch(/^<30>Jan {2}2 \d\d:04:05 here t\[PID\]: said\n$/)
  expect(line("")).toMatch(/^<30>Jan {2}2 \d\d:04:05 t\[PID\]: said\n$/)
  expect(tagText("{{.Name}}-{{ .ImageID }}-{{.Nope}}", origin)).toBe("web-cdcdcdcdcdcd-{{.Nope}}")
})

test("addresses", () => {
  const place = (driver: string, option: string, address: string) =>
    parseTarget(driver, { [option]: address })?.place
  expect(place("syslog", "syslog-address", "udp://[::1]")).toEqual({ kind: "udp", host: "::1", port: 514 })
  expect(place("syslog", "syslog-address", "unix:///dev/x")).toEqual({ kind: "unix", path: "/dev/x" })
  expect(place("fluentd", "fluentd-address", "h:1")).toEqual({ kind: "tcp", host: "h", port: 1 })
  expect(parseTarget("fluentd", {})?.place).toEqual({ kind: "tcp", host: "127.0.0.1", port: 24_224 })
  for (const bad of ["udp://h:99999", "tls://h", "unix://a", "tcp://a:b", "tcp://a/b"])
    expect(() => place("syslog", "syslog-address", bad)).toThrow(/is not supported: write one of udp/)
  expect(() => place("fluentd", "fluentd-address", "udp://h")).toThrow(/tcp:\/\/, unix:\/\//)
})
