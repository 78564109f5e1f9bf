// What is kept of upstream servers' answers, how servers are asked, and frames of monitors, whatever they hold.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { createSocket, type Socket } from "node:dgram"
import { decode, encode } from "dns-packet"
import fc from "fast-check"
import { AnswerCache, cacheKey, readTimes } from "./cache.ts"
import { answerFrame, FrameReader } from "./frames.ts"
import { type Query, readQuery } from "./message.ts"
import { Upstreams } from "./upstream.ts"

const query = (name: string, id = 7): Query => {
  const bytes = encode({ type: "query", id, flags: 0x100, questions: [{ name, type: "A", class: "IN" }] })
  const read = readQuery(bytes, false)
  if (typeof read !== "object") throw new Error("the query is broken")
  return read
}
const response = (name: string, ttls: readonly number[], code = 0, soa?: number): Buffer =>
  encode({
    type: "response",
    id: 7,
    flags: 0x180 | code,
    questions: [{ name, type: "A", class: "IN" }],
    answers: ttls.map((ttl, n) => ({ type: "A", name, ttl, data: `192.0.2.${n}` })),
    ...(soa === undefined
      ? {}
      : {
          authorities: [
            {
              type: "SOA",
              name: "test",
              ttl: 3600,
              data: { mname: "a", rname: "b", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: soa },
            },
          ],
        }),
  })

test("answers are kept as long as their shortest record lives, and tell what is left", () => {
  let now = 0
  const cache = new AnswerCache(() => now)
  cache.put("k", response("a.test", [60, 30]))
  now = 10_500
  const ttls = decode(cache.find("k") ?? Buffer.alloc(0)).answers?.map((answer) =>
    "ttl" in answer ? answer.ttl : 0,
  )
  expect(ttls).toEqual([50, 20])
  now = 30_000
  expect(cache.find("k")).toBeUndefined()
})

test("names that do not exist are kept as SOA says; failures, truncated and empty ones without SOA are not", () => {
  let now = 0
  const cache = new AnswerCache(() => now)
  cache.put("gone", response("a.test", [], 3, 20))
  cache.put("failed", response("a.test", [60], 2))
  cache.put("empty", response("a.test", []))
  cache.put("zero", response("a.test", [0]))
  cache.put("huge", response("a.test", [0xffffffff]))
  const truncated = response("a.test", [60])
  truncated.writeUInt16BE(truncated.readUInt16BE(2) | 0x200, 2)
  cache.put("truncated", truncated)
  expect(cache.size).toBe(1)
  now = 19_000
  expect(cache.find("gone")).toBeDefined()
  now = 20_000
  expect(cache.find("gone")).toBeUndefined()
})

test("the cache is bounded; what was used last stays", () => {
  const cache = new AnswerCache(() => 0)
  for (let n = 0; n < 10_100; n++) {
    cache.put(`k${n}`, response("a.test", [60]))
    cache.find("k0")
  }
  expect(cache.size).toBe(10_000)
  expect(cache.find("k0")).toBeDefined()
  expect(cache.find("k1")).toBeUndefined()
})

test("keys tell apart what has different answers, and nothing else", () => {
  const key = (one: Query) => cacheKey("1.1.1.1", one)
  expect(key(query("A.test"))).toBe(key(query("a.TEST", 9)))
  expect(key(query("a.test"))).not.toBe(key(query("b.test")))
  expect(key({ ...query("a.test"), edns: { size: 1232, dnssecOk: true } })).not.toBe(key(query("a.test")))
  expect(cacheKey("9.9.9.9", query("a.test"))).not.toBe(key(query("a.test")))
})

test("times of any bytes are read within them", () => {
  const mutated = fc.tuple(fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 8 })).map(([changes]) => {
    const bytes = response("a.test", [60, 30], 3, 20)
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
    return bytes
  })
  const any = fc.uint8Array({ minLength: 12, maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.oneof(mutated, any), (bytes) => {
      for (const offset of readTimes(bytes)?.offsets ?? [])
        expect(offset + 4).toBeLessThanOrEqual(bytes.length)
      new AnswerCache(() => 0).put("k", bytes)
    }),
    { numRuns: 2000 },
  )
})

const own = `127.54.${process.pid % 250}.1`
const other = `127.54.${process.pid % 250}.2`
const sockets: Socket[] = []
/** What the server does with a packet; it may send anything. */
let act: (bytes: Buffer, send: (answer: Buffer) => void) => void = () => {}
let asked = 0
beforeAll(async () => {
  for (const address of [own, other]) {
    const socket = createSocket("udp4").on("message", (bytes, from) => {
      asked++
      act(bytes, (answer) => socket.send(answer, from.port, from.address))
    })
    await new Promise<void>((resolve) => socket.bind(53, address, resolve))
    sockets.push(socket)
  }
})
afterAll(() => {
  for (const socket of sockets) socket.close()
})
const told = (answer: Buffer): unknown => decode(answer).answers?.map((one) => "data" in one && one.data)
const right = (bytes: Buffer, ttl = 60): Buffer => {
  const answer = response("a.test", [ttl])
  bytes.copy(answer, 0, 0, 2)
  return answer
}

test("questions that are alike are asked once; each gets its own number and spelling", async () => {
  asked = 0
  act = (bytes, send) => setTimeout(() => send(right(bytes)), 20)
  const upstreams = new Upstreams()
  const answers = await Promise.all(
    [query("a.test", 1), query("A.test", 2), query("a.TEST", 3)].map((one) => upstreams.ask([own], one)),
  )
  expect(asked).toBe(1)
  expect(answers.map((answer) => answer.readUInt16BE(0))).toEqual([1, 2, 3])
  expect(answers.map((answer) => decode(answer).questions?.[0]?.name)).toEqual(["a.test", "A.test", "a.TEST"])
  expect(upstreams.known([own], query("a.test", 4))?.readUInt16BE(0)).toBe(4)
  expect(upstreams.known([other], query("a.test", 4))).toBeUndefined()
})

test("answers with another number or to another question are not heard", async () => {
  act = (bytes, send) => {
    const number = right(bytes)
    number.writeUInt16BE((number.readUInt16BE(0) + 1) & 0xffff, 0)
    send(number)
    const name = response("b.test", [60])
    bytes.copy(name, 0, 0, 2)
    send(name)
    send(bytes)
    send(Buffer.from("nonsense"))
    setTimeout(() => send(right(bytes)), 30)
  }
  expect(told(await new Upstreams().ask([own], query("a.test")))).toEqual(["192.0.2.0"])
})

test("numbers and source ports differ from question to question", async () => {
  const numbers = new Set<number>()
  act = (bytes, send) => {
    numbers.add(bytes.readUInt16BE(0))
    send(right(bytes, 0))
  }
  const upstreams = new Upstreams()
  for (let n = 0; n < 20; n++) await upstreams.ask([own], query("a.test", 1))
  expect(numbers.size).toBeGreaterThan(15)
})

test("a server that fails is followed by the next; when all fail, so does the answer", async () => {
  let first = true
  act = (bytes, send) => {
    const answer = right(bytes)
    if (first) answer.writeUInt16BE(0x8182, 2)
    first = false
    send(answer)
  }
  expect(told(await new Upstreams().ask([own, other], query("a.test")))).toEqual(["192.0.2.0"])
  act = (bytes, send) => {
    const answer = right(bytes)
    answer.writeUInt16BE(0x8182, 2)
    send(answer)
  }
  const failed = await new Upstreams().ask([own, other], query("a.test"))
  expect(failed.readUInt16BE(2) & 15).toBe(2)
})

test("silence ends, and close() ends what is under way", async () => {
  act = () => {}
  const since = performance.now()
  const silent = await new Upstreams(new AnswerCache(), { nextServer: 20, whole: 100 }).ask(
    [own, other],
    query("a.test"),
  )
  expect(silent.readUInt16BE(2) & 15).toBe(2)
  expect(performance.now() - since).toBeLessThan(1000)
  const upstreams = new Upstreams()
  const waiting = upstreams.ask([own], query("a.test"))
  upstreams.close()
  expect((await waiting).readUInt16BE(2) & 15).toBe(2)
})

const frame = (kind: number, payload: Uint8Array, ticket = 1): Buffer => {
  const out = answerFrame(ticket, payload)
  out[2] = kind
  return out
}

test("frames come in any pieces; what breaks the rules ends the connection", () => {
  const all = Buffer.concat([
    frame(1, Buffer.from("c0ffee")),
    frame(2, Buffer.from("one"), 5),
    frame(2, Buffer.from(""), 6),
  ])
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 20 }), (sizes) => {
      const reader = new FrameReader()
      const got: string[] = []
      let at = 0
      for (const size of [...sizes, all.length]) {
        const frames = reader.read(Buffer.from(all.subarray(at, at + size)))
        at += size
        for (const one of frames ?? [])
          got.push(one.kind === "hello" ? one.containerId : `${one.ticket}:${one.bytes}`)
      }
      expect(got).toEqual(["c0ffee", "5:one", "6:"])
    }),
  )
  expect(new FrameReader().read(frame(2, Buffer.from("x")))).toBeUndefined()
  expect(new FrameReader().read(frame(1, Buffer.alloc(129)))).toBeUndefined()
  expect(
    new FrameReader().read(Buffer.concat([frame(1, Buffer.from("x")), frame(1, Buffer.from("x"))])),
  ).toBeUndefined()
})

test("any bytes in frames are taken or refused, never more", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 10 }), (chunks) => {
      const reader = new FrameReader()
      for (const chunk of chunks) if (!reader.read(Buffer.from(chunk))) return
    }),
    { numRuns: 1000 },
  )
})
