// Log drivers that send lines elsewhere: each line arrives once and in order, docker logs still works, restarts lose nothing.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { createSocket } from "node:dgram"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { join } from "node:path"
import { eventually, startEngine, type TestEngine } from "../fixtures/engine.ts"

let engine: TestEngine
beforeAll(async () => {
  engine = await startEngine()
}, 60_000)
afterAll(() => engine.close(), 60_000)

interface Receiver {
  readonly server: Server
  readonly port: number
  bytes(): Buffer
  close(): Promise<void>
}

async function receiver(at: number | string = 0): Promise<Receiver> {
  let bytes = Buffer.alloc(0)
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    clients.add(client)
    client.on("error", () => {})
    client.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
    })
  })
  await new Promise<void>((resolve) =>
    typeof at === "string" ? server.listen(at, resolve) : server.listen(at, "127.0.0.1", resolve),
  )
  return {
    server,
    port: typeof at === "string" ? 0 : (server.address() as AddressInfo).port,
    bytes: () => bytes,
    async close() {
      for (const client of clients) client.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const lines = (count: number, from = 1) => Array.from({ length: count }, (_, index) => `line ${from + index}`)

test("syslog over TCP: every line once, also those of a --rm container, and docker logs reads them too", async () => {
  const there = await receiver()
  const driver = ["--log-driver", "syslog", "--log-opt", `syslog-address=tcp://127.0.0.1:${there.port}`]
  const format = ["--log-opt", "syslog-format=rfc5424micro", "--log-opt", "tag={{.Name}}/{{.ImageName}}"]
  const script = "seq 1 2000 | sed 's/^/line /'; echo wrong >&2"
  await engine.ok("run", "--rm", "--name", "short", ...driver, ...format, "busybox", "sh", "-c", script)
  await eventually("all is there", () => there.bytes().toString().split("\n").length >= 2002)
  const got = there.bytes().toString().trimEnd().split("\n")
  expect(got[0]).toMatch(
    /^<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ short\/busybox \d+ short\/busybox - line 1$/,
  )
  const said = got.map((line) => line.split(" - ")[1])
  expect(said.filter((line) => line !== "wrong")).toEqual(lines(2000))
  expect(got.filter((line) => line.startsWith("<27>1 ") && line.endsWith(" - wrong")).length).toBe(1)
  await engine.ok("run", "--name", "kept", ...driver, "busybox", "echo", "both ways")
  expect(await engine.ok("logs", "kept")).toBe("both ways")
  await eventually("it was sent", () =>
    /<30>\w{3} [ \d]\d [\d:]{8} [0-9a-f]{12}\[\d+\]: both ways\n/.test(there.bytes().toString()),
  )
  await engine.ok("rm", "kept")
  await there.close()
}, 30_000)

test("a receiver that is away and a daemon that is killed lose no line", async () => {
  const first = await receiver()
  const { port } = first
  const script = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"
  await engine.ok(
    ...[
      "run",
      "-d",
      "--name",
      "long",
      "--log-driver",
      "syslog",
      "--log-opt",
      `syslog-address=tcp://127.0.0.1:${port}`,
    ],
    ...["busybox", "sh", "-c", script],
  )
  await eventually("the first lines are there", () => first.bytes().includes("line 5"))
  await engine.kill9()
  await Bun.sleep(500)
  await engine.start()
  await eventually("it goes on", () => first.bytes().includes("line 20"))
  await first.close()
  await Bun.sleep(500)
  const second = await receiver(port)
  await eventually("the last line is there", () => second.bytes().includes("line 60"), 15_000)
  const got = [first, second].flatMap((one) =>
    one
      .bytes()
      .toString()
      .split("\n")
      .map((line) => line.split("]: ")[1] ?? "")
      .filter(Boolean),
  )
  // A batch that was on its way when a side died may come twice or fall into the closed connection; nothing else.
  const missing = lines(60).filter((line) => !got.includes(line))
  expect(missing.length).toBeLessThanOrEqual(2)
  expect(got.length).toBeLessThanOrEqual(75)
  await engine.ok("rm", "-f", "long")
  await second.close()
}, 40_000)

test("fluentd, syslog over UDP and the socket of a stream", async () => {
  const fluentd = await receiver(join(engine.work, "fluentd.sock"))
  const there = `fluentd-address=unix://${join(engine.work, "fluentd.sock")}`
  const options = [
    "--log-driver",
    "fluentd",
    "--log-opt",
    there,
    "--log-opt",
    "labels=team",
    "--log-opt",
    "tag=t",
  ]
  await engine.ok("run", "--rm", "--label", "team=blue", ...options, "busybox", "echo", "packed")
  await eventually("the event is there", () => fluentd.bytes().includes("packed"))
  const event = fluentd.bytes()
  // [tag, time, record of five] in MessagePack.
  expect(event.subarray(0, 4)).toEqual(Buffer.from([0x93, 0xa1, 0x74, 0xce]))
  expect(Math.abs(event.readUInt32BE(4) - Date.now() / 1000)).toBeLessThan(30)
  expect(event.subarray(8, 11)).toEqual(Buffer.from([0xde, 0, 5]))
  for (const [key, value] of [
    ["team", "blue"],
    ["source", "stdout"],
    ["log", "packed"],
  ] as const) {
    const text = (word: string) => Buffer.concat([Buffer.from([0xa0 | word.length]), Buffer.from(word)])
    expect(event.includes(Buffer.concat([text(key), text(value)]))).toBe(true)
  }
  await fluentd.close()
  const datagrams: string[] = []
  const udp = createSocket("udp4").on("message", (message) => datagrams.push(message.toString()))
  await new Promise<void>((resolve) => udp.bind(0, "127.0.0.1", resolve))
  const address = `syslog-address=udp://127.0.0.1:${udp.address().port}`
  await engine.ok(
    "run",
    "--rm",
    "--log-driver",
    "syslog",
    "--log-opt",
    address,
    "--log-opt",
    "syslog-facility=local3",
    "busybox",
    "echo",
    "one",
  )
  await eventually("the datagram is there", () => datagrams.length === 1)
  expect(datagrams[0]).toMatch(/^<158>.*\]: one$/)
  udp.close()
}, 30_000)

test("what is not known is refused in one sentence", async () => {
  for (const [words, sentence] of [
    [["--log-driver", "gelf"], /logger: no log driver named 'gelf' is registered/],
    [["--log-driver", "syslog"], /needs syslog-address/],
    [
      ["--log-driver", "syslog", "--log-opt", "syslog-address=unixgram:///dev/log"],
      /is not supported: write one of udp/,
    ],
    [["--log-driver", "fluentd", "--log-opt", "fluentd-adress=x"], /unknown log opt 'fluentd-adress'/],
  ] as const) {
    const { code, stderr } = await engine.docker("run", "--rm", ...words, "busybox", "true")
    expect(code).toBe(125)
    expect(stderr).toMatch(sentence)
  }
  expect(await engine.ok("ps", "-aq")).toBe("")
})
