// Limits and devices as the files of both cgroup versions: pure parts.
import { expect, test } from "bun:test"
import fc from "fast-check"
import type { KernelFeatures } from "../../kernel/kernel.ts"
import type { DeviceRule } from "../../oci/runtime-spec.ts"
import { limits } from "../spec/resources.ts"
import { deviceProgram } from "./device-program.ts"
import { allowsEverything, defaultDeviceRules, deviceLines, parseDeviceRule } from "./devices.ts"
import { cgroupLayout, cgroupPath } from "./layout.ts"
import { ioWeight, limitWrites, weightOfShares } from "./limits.ts"
import { parseIoStat } from "./reading.ts"

const base = { kernelVersion: "6.18", capabilities: 0n, raw: new Map() }
const v2: KernelFeatures = { ...base, cgroupMode: "v2", cgroupV1: new Map(), cgroupV2: "/sys/fs/cgroup" }
const v1: KernelFeatures = {
  ...base,
  cgroupMode: "v1",
  cgroupV1: new Map([
    ["cpu", "/c/cpu,cpuacct"],
    ["cpuacct", "/c/cpu,cpuacct"],
    ["cpuset", "/c/cpuset"],
    ["memory", "/c/memory"],
    ["pids", "/c/pids"],
    ["blkio", "/c/blkio"],
    ["devices", "/c/devices"],
    ["net_cls", "/c/net_cls"],
  ]),
}

test("a container has a directory in each hierarchy, shared ones once", () => {
  const layout = cgroupLayout(v1, cgroupPath("sloop", "abc"))
  expect(layout.all).toEqual([
    "/c/cpuset/sloop/abc",
    "/c/cpu,cpuacct/sloop/abc",
    "/c/memory/sloop/abc",
    "/c/devices/sloop/abc",
    "/c/blkio/sloop/abc",
    "/c/pids/sloop/abc",
  ])
  expect(layout.members).toBe("/c/pids/sloop/abc")
  expect(cgroupLayout(v2, cgroupPath("/a//b/", "abc")).all).toEqual(["/sys/fs/cgroup/a/b/abc"])
  expect(() => cgroupPath("a/../..", "abc")).toThrow("invalid cgroup parent")
})

const asked = {
  memory: 64 << 20,
  memoryReservation: 32 << 20,
  memorySwappiness: 10,
  cpuShares: 512,
  nanoCpus: 1.5e9,
  cpusetCpus: "0-1",
  pids: 100,
  blkioWeight: 500,
}

const written = (features: KernelFeatures, resources: Parameters<typeof limits>[0]): string[] =>
  limitWrites(cgroupLayout(features, "/s/x"), limits(resources)).map(
    ({ file, value, optional }) => `${file.split("/").at(-1)}=${value}${optional ? "?" : ""}`,
  )

test("limits of v1", () => {
  expect(written(v1, asked)).toEqual([
    "memory.limit_in_bytes=67108864",
    "memory.memsw.limit_in_bytes=134217728?",
    "memory.soft_limit_in_bytes=33554432",
    "memory.swappiness=10?",
    "cpu.shares=512",
    "cpu.cfs_period_us=100000",
    "cpu.cfs_quota_us=150000",
    "cpuset.cpus=0-1",
    "pids.max=100",
    "blkio.weight=500?",
    "blkio.bfq.weight=500?",
  ])
})

test("limits of v2: swap alone, weights converted", () => {
  expect(written(v2, asked)).toEqual([
    "memory.max=67108864",
    "memory.swap.max=67108864?",
    "memory.low=33554432",
    "cpu.weight=20",
    "cpu.max=150000 100000",
    "cpuset.cpus=0-1",
    "pids.max=100",
    "io.bfq.weight=500?",
    "io.weight=default 4950?",
  ])
  expect(written(v2, { memory: 8 << 20, memorySwap: -1 })).toEqual([
    "memory.max=8388608",
    "memory.swap.max=max?",
  ])
})

test("nothing asked for, nothing written", () => {
  expect(written(v1, {})).toEqual([])
  expect(written(v2, { pids: -1, memorySwappiness: -1 })).toEqual([])
})

test("weights keep their order and bounds", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 262_144 }), fc.integer({ min: 2, max: 262_144 }), (a, b) => {
      if (a <= b) expect(weightOfShares(a)).toBeLessThanOrEqual(weightOfShares(b))
      expect(weightOfShares(a)).toBeGreaterThanOrEqual(1)
      expect(weightOfShares(a)).toBeLessThanOrEqual(10_000)
    }),
  )
  expect(weightOfShares(1024)).toBe(39)
  expect([ioWeight(10), ioWeight(1000)]).toEqual([1, 10_000])
})

test("device rules are read and written", () => {
  expect(parseDeviceRule("c 10:* rw")).toEqual({
    allow: true,
    type: "c",
    major: 10,
    minor: undefined,
    access: "rw",
  })
  expect(deviceLines(parseDeviceRule("b 8:1 r"))).toEqual([{ file: "devices.allow", value: "b 8:1 r" }])
  expect(deviceLines({ allow: false, access: "rwm" })).toEqual([{ file: "devices.deny", value: "a" }])
  expect(deviceLines(parseDeviceRule("a *:* r")).map(({ value }) => value)).toEqual(["c *:* r", "b *:* r"])
  expect(allowsEverything(defaultDeviceRules)).toBe(false)
  expect(allowsEverything([{ allow: true, type: "a", access: "rwm" }])).toBe(true)
  for (const wrong of ["c 10", "x 1:1 r", "c 1:1 rwx", "c 1:1", "c -1:1 r"])
    expect(() => parseDeviceRule(wrong)).toThrow("invalid device cgroup rule format")
})

interface Access {
  readonly type: "b" | "c"
  readonly access: number
  readonly major: number
  readonly minor: number
}

/** Runs the program as the kernel does, with the few instructions that it has. */
function interpret(hex: string, { type, access, major, minor }: Access): number {
  const code = Buffer.from(hex, "hex")
  const context = [(access << 16) | (type === "b" ? 1 : 2), major, minor]
  const registers = new Array<number>(11).fill(0)
  for (let at = 0; at < code.length / 8; at++) {
    const opcode = code[at * 8] ?? 0
    const operands = code[at * 8 + 1] ?? 0
    const dst = operands & 15
    const src = operands >> 4
    const offset = code.readInt16LE(at * 8 + 2)
    const value = code.readInt32LE(at * 8 + 4)
    const current = registers[dst] ?? 0
    if (opcode === 0x61) registers[dst] = context[offset / 4] ?? 0
    else if (opcode === 0xbf) registers[dst] = registers[src] ?? 0
    else if (opcode === 0xb7) registers[dst] = value
    else if (opcode === 0x57) registers[dst] = current & value
    else if (opcode === 0x77) registers[dst] = current >>> value
    else if (opcode === 0x55) at += current === value ? 0 : offset
    else if (opcode === 0x15) at += current === value ? offset : 0
    else if (opcode === 0x95) return registers[0] ?? 0
    else throw new Error(`unknown instruction ${opcode.toString(16)}`)
  }
  throw new Error("the program has no end")
}

const bits = (text: string): number =>
  [...text].reduce((sum, letter) => sum | ({ m: 1, r: 2, w: 4 }[letter] ?? 0), 0)

/** What the rules say: the last one that matches decides. */
function meaning(rules: readonly DeviceRule[], { type, access, major, minor }: Access): number {
  for (const rule of [...rules].reverse()) {
    if (rule.type !== undefined && rule.type !== "a" && rule.type !== type) continue
    if (rule.major !== undefined && rule.major !== major) continue
    if (rule.minor !== undefined && rule.minor !== minor) continue
    const mask = bits(rule.access)
    if (rule.allow ? (access & ~mask) !== 0 : (access & mask) === 0) continue
    return rule.allow ? 1 : 0
  }
  return 0
}

const access = fc.record({
  type: fc.constantFrom<"b" | "c">("b", "c"),
  access: fc.integer({ min: 1, max: 7 }),
  major: fc.constantFrom(1, 5, 8, 10, 136, 200),
  minor: fc.nat(10),
})

test("the device program does what the rules say", () => {
  const rule = fc.record({
    allow: fc.boolean(),
    type: fc.constantFrom<DeviceRule["type"]>("a", "b", "c", undefined),
    major: fc.constantFrom(undefined, 1, 5, 8),
    minor: fc.option(fc.nat(10), { nil: undefined }),
    access: fc.constantFrom("rwm", "rw", "r", "w", "m", "rm"),
  })
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 12 }), access, (rules, asking) => {
      expect(interpret(deviceProgram(rules), asking)).toBe(meaning(rules, asking))
    }),
    { numRuns: 500 },
  )
})

test("by default there is /dev/null and no disk, but any node can be made", () => {
  const program = deviceProgram(defaultDeviceRules)
  expect(interpret(program, { type: "c", access: 6, major: 1, minor: 3 })).toBe(1)
  expect(interpret(program, { type: "c", access: 6, major: 136, minor: 7 })).toBe(1)
  expect(interpret(program, { type: "b", access: 1, major: 8, minor: 0 })).toBe(1)
  expect(interpret(program, { type: "b", access: 2, major: 8, minor: 0 })).toBe(0)
  expect(interpret(program, { type: "c", access: 2, major: 1, minor: 1 })).toBe(0)
})

test("v2 counts of block devices", () => {
  expect(
    parseIoStat(
      "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n253:1 rbytes=1 wbytes=0 rios=1 wios=0\n\n",
    ),
  ).toEqual([
    { major: 8, minor: 0, operation: "Read", bytes: 4096, operations: 1 },
    { major: 8, minor: 0, operation: "Write", bytes: 8192, operations: 2 },
    { major: 253, minor: 1, operation: "Read", bytes: 1, operations: 1 },
    { major: 253, minor: 1, operation: "Write", bytes: 0, operations: 0 },
  ])
})
