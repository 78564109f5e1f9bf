import { expect, test } from "bun:test"
import fc from "fast-check"
import type { CopyAction, ExecMount, Input } from "./graph.ts"
import { type Draft, newNodes, nodeInputs } from "./node-digest.ts"
import { copyAction } from "./testing/file-nodes.ts"

const platform = { os: "linux", architecture: "amd64", variant: "" }
const common = { name: "step", platform, fresh: false } as const

const context = newNodes().make<"context">({ ...common, type: "context", context: "" })
const other = newNodes().make<"context">({ ...common, type: "context", context: "other" })

const exec = (change: Partial<Draft<"exec">> = {}): Draft<"exec"> => ({
  ...common,
  type: "exec",
  root: "scratch",
  argv: ["make"],
  env: ["A=1"],
  proxyEnv: [],
  user: "",
  workingDirectory: "/",
  mounts: [],
  network: "default",
  security: "sandbox",
  hostname: "",
  extraHosts: [],
  commandText: "make",
  argumentsSeen: [],
  ...change,
})

const copy = (change: Partial<CopyAction> = {}): Draft<"file"> => ({
  ...common,
  type: "file",
  root: "scratch",
  independent: false,
  actions: [copyAction({ input: context, sources: ["a"], destination: "/a", owner: "0:0", ...change })],
})

const mounted = (mount: ExecMount): Draft<"exec"> => exec({ mounts: [mount] })
const bind = { type: "bind", input: context, source: "/", target: "/m", readOnly: true } as const
const cache = {
  type: "cache",
  id: "c",
  target: "/m",
  sharing: "shared",
  readOnly: false,
  mode: 0o755,
  uid: 0,
  gid: 0,
  source: "/",
} as const
const secret = {
  type: "secret",
  id: "s",
  target: "/s",
  required: false,
  mode: 0o400,
  uid: 0,
  gid: 0,
} as const
const ssh = { type: "ssh", id: "s", target: "/s", required: false, mode: 0o600, uid: 0, gid: 0 } as const
const arm = { ...platform, architecture: "arm64" }
const file = (change: object): Draft<"file"> => ({
  ...copy(),
  actions: [{ type: "file", path: "/f", content: new Uint8Array([1]), owner: "0:0", mode: 0o644, ...change }],
})

const different: Draft[] = [
  exec(),
  exec({ argv: ["ma", "ke"] }),
  exec({ env: ["A=2"] }),
  exec({ env: [] }),
  exec({ user: "bob" }),
  exec({ workingDirectory: "/w" }),
  exec({ network: "none" }),
  exec({ security: "insecure" }),
  exec({ hostname: "host" }),
  exec({ extraHosts: ["a:1.2.3.4"] }),
  exec({ platform: arm }),
  exec({ root: context }),
  exec({ root: other }),
  mounted(bind),
  mounted({ ...bind, input: other }),
  mounted({ ...bind, input: "scratch" }),
  mounted({ ...bind, source: "/s" }),
  mounted({ ...bind, target: "/n" }),
  mounted({ ...bind, readOnly: false }),
  mounted(cache),
  mounted({ ...cache, id: "d" }),
  mounted({ ...cache, sharing: "locked" }),
  mounted({ ...cache, mode: 0o700 }),
  mounted({ ...cache, uid: 1 }),
  mounted({ ...cache, gid: 1 }),
  mounted({ ...cache, input: context }),
  mounted({ ...cache, input: "scratch" }),
  mounted({ type: "tmpfs", target: "/m", size: 0 }),
  mounted({ type: "tmpfs", target: "/m", size: 1 }),
  mounted(secret),
  mounted({ ...secret, required: true }),
  mounted({ ...secret, env: "S" }),
  mounted({ ...secret, mode: 0o444 }),
  mounted(ssh),
  mounted({ ...ssh, id: "t" }),
  copy(),
  copy({ input: other }),
  copy({ sources: ["b"] }),
  copy({ sources: ["a", "b"] }),
  copy({ destination: "/a/" }),
  copy({ owner: "" }),
  copy({ mode: 0o644 }),
  copy({ mode: "420" }),
  copy({ parents: true }),
  copy({ exclude: ["x"] }),
  copy({ unpack: true }),
  copy({ follow: false }),
  copy({ required: false }),
  { ...copy(), independent: true },
  { ...copy(), root: other },
  file({}),
  file({ path: "/g" }),
  file({ content: new Uint8Array([2]) }),
  file({ owner: "1:1" }),
  file({ mode: 0o755 }),
  file({ nameInDirectory: "f" }),
  { ...copy(), actions: [{ type: "directory", path: "/f", owner: "", mode: 0o755 }] },
  { ...copy(), actions: [{ type: "directory", path: "/f", owner: "bob", mode: 0o755 }] },
]

test("every field that the result depends on is in the digest", () => {
  const digests = different.map((draft) => newNodes().make(draft).digest)
  expect(new Set(digests).size).toBe(different.length)
})

test("what the request adds is in the digest", () => {
  const nodes = newNodes()
  expect(nodes.make(exec(), ["shm=1"]).digest).not.toBe(nodes.make(exec(), ["shm=2"]).digest)
})

test("name, lines and proxies are not", () => {
  const plain = newNodes().make(exec())
  const told = exec({ name: "other", place: { first: 1, last: 2 }, proxyEnv: ["HTTP_PROXY=x"], fresh: true })
  expect(newNodes().make(told).digest).toBe(plain.digest)
})

test("the definition leaves the inputs out, the digest does not", () => {
  const [first, second] = [copy(), copy({ input: other })].map((draft) => newNodes().make(draft))
  expect(first?.definition).toBe(second?.definition ?? "")
  expect(first?.digest).not.toBe(second?.digest)
})

test("equal steps are one node, fresh when any of them is", () => {
  const nodes = newNodes()
  const first = nodes.make(exec())
  expect(nodes.make(exec({ name: "the same" }))).toBe(first)
  expect(first.fresh).toBe(false)
  nodes.make(exec({ fresh: true }))
  expect(first.fresh).toBe(true)
})

test("no words of a command are taken for those of another", () => {
  const words = fc.array(fc.string(), { maxLength: 4 })
  fc.assert(
    fc.property(words, words, words, words, (argv, env, otherArgv, otherEnv) => {
      const one = newNodes().make(exec({ argv, env })).digest
      const two = newNodes().make(exec({ argv: otherArgv, env: otherEnv })).digest
      const same = JSON.stringify([argv, env]) === JSON.stringify([otherArgv, otherEnv])
      expect(one === two).toBe(same)
    }),
  )
})

test("inputs are told in order: root, then mounts or sources", () => {
  const names = (inputs: readonly Input[]) =>
    inputs.map((input) => (input === "scratch" ? input : input.name))
  const node = newNodes().make(
    exec({ mounts: [bind, { type: "tmpfs", target: "/t", size: 0 }, { ...cache, input: other }] }),
  )
  expect(names(nodeInputs(node))).toEqual(["scratch", "step", "step"])
})
