import { expect, test } from "bun:test"
import { type Flag, nearest, parseFlags } from "./flags.ts"

const flags: readonly Flag[] = [
  { name: "interactive", short: "i", kind: "bool", summary: "" },
  { name: "tty", short: "t", kind: "bool", summary: "" },
  { name: "rm", kind: "bool", summary: "" },
  { name: "env", short: "e", kind: "list", summary: "" },
  { name: "name", kind: "string", summary: "" },
  { name: "time", short: "t2", kind: "int", summary: "", default: "10" },
]
const run = (...words: string[]) => parseFlags(words, flags, { interspersed: false })

test("clustered short flags", () => {
  const parsed = run("-it", "busybox", "sh", "-c", "x")
  expect([parsed.bool("interactive"), parsed.bool("tty")]).toEqual([true, true])
  expect(parsed.arguments).toEqual(["busybox", "sh", "-c", "x"])
})

test("a value joined, after =, or as the next word", () => {
  expect(run("-eA=1", "-e=B=2", "-e", "C=3", "--env", "D=4", "--env=E=5").list("env")).toEqual([
    "A=1",
    "B=2",
    "C=3",
    "D=4",
    "E=5",
  ])
})

test("a bool takes its value only after =", () => {
  expect(run("--rm=false", "img").bool("rm")).toBe(false)
  expect(run("--rm", "false").arguments).toEqual(["false"])
})

test("-- ends flags, and verbs that intersperse read on", () => {
  expect(run("--rm", "--", "-it").arguments).toEqual(["-it"])
  expect(parseFlags(["a", "--rm", "b"], flags, { interspersed: true }).arguments).toEqual(["a", "b"])
})

test("mistakes get one sentence", () => {
  expect(() => run("--nmae", "x")).toThrow("unknown flag: --nmae; did you mean --name?")
  expect(() => run("--name")).toThrow("flag needs an argument: --name")
  expect(() => run("-ix")).toThrow("unknown shorthand flag: 'x' in -ix")
  expect(() => run("--rm=maybe")).toThrow('invalid argument "maybe" for "--rm" flag')
  expect(() => run("--time", "soon")).toThrow('parsing "soon"')
})

test("suggestions are near or absent", () => {
  expect(nearest("strat", ["start", "stop"])).toBe("start")
  expect(nearest("zzz", ["start", "stop"])).toBeUndefined()
})
