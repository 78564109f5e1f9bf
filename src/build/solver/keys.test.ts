// Keys of steps: any field that the result depends on changes them, and nothing else does.
import { expect, test } from "bun:test"
import fc from "fast-check"
import type { ExecMount, ExecNode, FileNode } from "../graph/graph.ts"
import { type Draft, newNodes } from "../graph/node-digest.ts"
import { isShareable, stepKey } from "./keys.ts"

const platform = { os: "linux", architecture: "amd64", variant: "" }

type ExecDraft = Extract<Draft, { type: "exec" }>
type FileDraft = Extract<Draft, { type: "file" }>

const exec: ExecDraft = {
  ...{
    type: "exec",
    name: "RUN make",
    platform,
    fresh: false,
    root: "scratch",
    argv: ["/bin/sh", "-c", "make"],
  },
  ...{ env: ["A=1"], proxyEnv: [], user: "", hostname: "", workingDirectory: "/", mounts: [] },
  ...{ network: "default", security: "sandbox", extraHosts: [], commandText: "make", argumentsSeen: [] },
}
const file: FileDraft = {
  ...{ type: "file", name: "COPY", platform, fresh: false, root: "scratch", independent: false },
  actions: [
    {
      ...{ type: "copy", input: "scratch", sources: ["a"], destination: "/b", owner: "0:0", parents: false },
      ...{ exclude: [], unpack: false, follow: true, required: true },
    },
  ],
}

const nodeOf = (draft: Draft, beyond: readonly string[] = []) =>
  newNodes().make(draft, beyond) as ExecNode | FileNode

const parts = { root: "sha256:a", taken: [], epoch: undefined, face: "builder" } as const
const keyOf = (draft: Draft, beyond?: readonly string[]) => stepKey(nodeOf(draft, beyond), "content", parts)

const cache: ExecMount = {
  ...{ type: "cache", id: "c", target: "/c", sharing: "shared", readOnly: false },
  ...{ mode: 0o755, uid: 0, gid: 0, source: "" },
}
const secret: ExecMount = {
  ...{ type: "secret", id: "s", target: "/run/secrets/s", required: false, mode: 0o400, uid: 0, gid: 0 },
}

test.each<[string, Partial<ExecDraft>]>([
  ["argv", { argv: ["/bin/sh", "-c", "make all"] }],
  ["words of argv", { argv: ["/bin/sh", "-c make"] }],
  ["env", { env: ["A=2"] }],
  ["user", { user: "nobody" }],
  ["directory", { workingDirectory: "/src" }],
  ["network", { network: "none" }],
  ["security", { security: "insecure" }],
  ["extra hosts", { extraHosts: ["a:10.0.0.1"] }],
  ["platform", { platform: { ...platform, architecture: "arm64" } }],
  ["variant", { platform: { ...platform, variant: "v8" } }],
  ["a cache mount", { mounts: [cache] }],
  ["a secret", { mounts: [secret] }],
  ["a tmpfs", { mounts: [{ type: "tmpfs", target: "/t", size: 0 }] }],
])("%s of a command changes its key", (_, change) => {
  expect(keyOf({ ...exec, ...change })).not.toBe(keyOf(exec))
})

test.each<[string, ExecMount, Partial<ExecMount>]>([
  ["id of a cache", cache, { id: "d" }],
  ["sharing of a cache", cache, { sharing: "locked" }],
  ["owner of a cache", cache, { uid: 5 }],
  ["id of a secret", secret, { id: "t" }],
  ["place of a secret", secret, { target: "/x" }],
  ["variable of a secret", secret, { env: "TOKEN" } as Partial<ExecMount>],
])("%s changes the key", (_, mount, change) => {
  const changed = { ...mount, ...change } as ExecMount
  expect(keyOf({ ...exec, mounts: [changed] })).not.toBe(keyOf({ ...exec, mounts: [mount] }))
})

test.each<[string, Partial<FileDraft>]>([
  ["being independent", { independent: true }],
  ["more actions", { actions: [...file.actions, ...file.actions] }],
  ...(
    [
      ["sources", { sources: ["b"] }],
      ["destination", { destination: "/b/" }],
      ["owner", { owner: "1:1" }],
      ["mode", { mode: 0o600 }],
      ["a symbolic mode", { mode: "384" }],
      ["parents", { parents: true }],
      ["exclude", { exclude: ["x"] }],
      ["unpack", { unpack: true }],
    ] as const
  ).map(([name, change]): [string, Partial<FileDraft>] => [
    name,
    { actions: file.actions.map((action) => ({ ...action, ...change }) as (typeof file.actions)[number]) },
  ]),
])("%s of a copy changes its key", (_, change) => {
  expect(keyOf({ ...file, ...change })).not.toBe(keyOf(file))
})

test("root, taken contents, epoch and face change it; name, place and freshness do not", () => {
  const node = nodeOf(exec)
  const plain = stepKey(node, "content", parts)
  const others = [
    stepKey(node, "content", { ...parts, root: "sha256:b" }),
    stepKey(node, "content", { ...parts, root: "" }),
    stepKey(node, "content", { ...parts, taken: ["sha256:c"] }),
    stepKey(node, "content", { ...parts, epoch: 0 }),
    stepKey(node, "content", { ...parts, epoch: 1 }),
    stepKey(node, "content", { ...parts, face: "classic" }),
    stepKey(node, "identity", parts),
    keyOf(exec, ["shm 64m"]),
    keyOf(exec, ["shm", "64m"]),
  ]
  expect(new Set([plain, ...others]).size).toBe(others.length + 1)
  const same = { ...exec, name: "[2/3] RUN make", place: { first: 1, last: 2 }, fresh: true }
  expect(keyOf(same)).toBe(plain)
})

test("an independent layer has one key on every root", () => {
  const node = nodeOf({ ...file, independent: true })
  expect(stepKey(node, "content", { ...parts, root: "sha256:b" })).toBe(stepKey(node, "content", parts))
})

test("no two different commands, roots and contents have the same key, whatever words they are made of", () => {
  const words = fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 })
  const step = fc.record({
    argv: words,
    env: words,
    user: fc.string({ maxLength: 3 }),
    root: fc.string(),
    taken: words,
  })
  fc.assert(
    fc.property(step, step, (one, other) => {
      const key = ({ argv, env, user, root, taken }: typeof one) =>
        stepKey(nodeOf({ ...exec, argv, env, user }), "content", { ...parts, root, taken })
      expect(key(one) === key(other)).toBe(JSON.stringify(one) === JSON.stringify(other))
    }),
    { numRuns: 300 },
  )
})

test("steps with secrets or keys, and fresh ones, are run for one build alone", () => {
  expect(isShareable(nodeOf(exec))).toBe(true)
  expect(isShareable(nodeOf({ ...exec, mounts: [secret] }))).toBe(false)
  expect(isShareable(nodeOf({ ...exec, fresh: true }))).toBe(false)
})
