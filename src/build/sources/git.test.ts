// Git repositories over git's own servers on loopback: what comes, and what a hostile address or repository cannot do.
import { afterAll, afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { createServer } from "node:net"
import { join } from "node:path"
import type { GitNode } from "../graph/graph.ts"
import { openGit } from "./git.ts"
import { type GitServers, startGitServers } from "./testing/git-server.ts"
import { contextOf, filesOf, openSourceGround, type SourceGround } from "./testing/ground.ts"

setDefaultTimeout(30_000)

let servers: GitServers
let ground: SourceGround
let first: string
let second: string

beforeAll(async () => {
  servers = await startGitServers()
  first = servers.commit(
    "app",
    { Dockerfile: "FROM scratch\n", "sub/a": "a1\n", "sub/deep/b": "b\n" },
    { tag: "v1" },
  )
  second = servers.commit("app", { "sub/a": "a2\n" }, { tag: "v2", annotated: true })
  servers.commit("app", { other: "on a branch\n" }, { branch: "feature/x" })
  servers.commit("app", { link: "-> /etc", inside: "-> sub" }, { branch: "links" })
})
afterAll(() => servers.close())
beforeEach(async () => {
  ground = await openSourceGround()
  servers.asked.length = 0
  servers.allow = () => true
})
afterEach(() => ground.close())

const node = (url: string, change: Partial<GitNode> = {}): GitNode => ({
  type: "git",
  digest: "sha256:node",
  definition: "sha256:definition",
  name: "ADD",
  platform: { os: "linux", architecture: "amd64", variant: "" },
  fresh: false,
  url,
  ref: "",
  subdirectory: "",
  keepGitDirectory: false,
  checksum: "",
  ...change,
})
const app = (change: Partial<GitNode> = {}) => node(`${servers.daemon}/app.git`, change)
const fetched = async (given: GitNode, run = ground.run()) => {
  const { tree, material, release } = await openGit(ground.rooms).fetch(given, run)
  const context = contextOf(tree)
  return { files: await filesOf(context), directory: context.directory, material, release }
}
const failing = async (
  given: GitNode,
  options: { stall?: number } = {},
  run = ground.run(),
): Promise<string> =>
  openGit(ground.rooms, options)
    .fetch(given, run)
    .then(
      () => "nothing failed",
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
const secret = (name: string, value: string) =>
  ground.run({ secrets: async (id) => (id === name ? Buffer.from(value) : undefined) })

test("a branch comes that has the name of git's own first one", async () => {
  const own = execFileSync("git", ["var", "GIT_DEFAULT_BRANCH"], { encoding: "utf8" }).trim()
  servers.commit("named", { own: "branch\n" }, { branch: own })
  const { files } = await fetched(node(`${servers.daemon}/named.git`, { ref: own }))
  expect(files).toEqual(["own 644"])
})

for (const [what, ref, commit] of [
  ["a branch", "main", () => second],
  ["a tag", "v1", () => first],
  ["an annotated tag", "v2", () => second],
  ["a full ref", "refs/heads/main", () => second],
  ["a commit at a tip", "", () => second],
  ["a commit below", "first", () => first],
] as const)
  test(`${what} comes, without .git`, async () => {
    const wanted = what.startsWith("a commit") ? commit() : ref
    const { files, material, directory } = await fetched(app({ ref: wanted }))
    expect(files).toEqual(["Dockerfile 644", "sub/a 644", "sub/deep/b 644"])
    expect(material).toEqual({ uri: `${servers.daemon}/app.git#${wanted}`, digest: `sha1:${commit()}` })
    expect(readFileSync(join(directory, "sub/a"), "utf8")).toBe(commit() === first ? "a1\n" : "a2\n")
  })

test("no ref is the remote's default branch; the key is its commit", async () => {
  const { files } = await fetched(app())
  expect(files).toContain("Dockerfile 644")
  const git = openGit(ground.rooms)
  expect(await git.key(app(), ground.run())).toBe(`${second}:`)
  expect(await git.key(app({ ref: "feature/x", subdirectory: "/sub/" }), ground.run())).toEndWith(":sub")
})

test("over HTTP as well", async () => {
  const { files } = await fetched(node(`${servers.http}/app.git`, { ref: "feature/x" }))
  expect(files).toContain("other 644")
})

test("a commit that was brought is not brought again", async () => {
  const url = `${servers.http}/app.git`
  const before = await fetched(node(url, { ref: first }))
  const count = servers.asked.length
  const again = await fetched(node(url, { ref: first, subdirectory: "sub" }))
  expect(servers.asked.length).toBe(count)
  expect(again.directory).toBe(join(before.directory, "sub"))
  expect(again.files).toEqual(["a 644", "deep/b 644"])
})

test("a subdirectory may be reached by a link within, never by one that leads out", async () => {
  expect((await fetched(app({ ref: "links", subdirectory: "inside" }))).files).toEqual([
    "a 644",
    "deep/b 644",
  ])
  expect(await failing(app({ ref: "links", subdirectory: "link" }))).toContain(
    "it leads out of the repository",
  )
  expect(await failing(app({ subdirectory: "../../.." }))).toContain("it leads out of the repository")
  expect(await failing(app({ subdirectory: "sub/../../x" }))).toContain("it leads out of the repository")
  expect(await failing(app({ subdirectory: ".git/hooks" }))).toContain("it leads out of the repository")
  expect(await failing(app({ subdirectory: "none" }))).toBe(
    "failed to open subdir none: no such file or directory",
  )
})

test("a ref that is not there is told with what was there", async () => {
  expect(await failing(app({ ref: "nope" }))).toBe('repository does not contain ref nope, output: ""')
  const absent = "1".repeat(40)
  expect(await failing(app({ ref: absent }))).toContain(`does not contain the commit ${absent}`)
})

test("a repository that is not there is told as BuildKit tells it", async () => {
  const message = await failing(node(`${servers.daemon}/none.git`, { ref: "main" }))
  expect(message).toStartWith(`failed to fetch remote ${servers.daemon}/none.git: git stderr:\nfatal: `)
})

test("a checksum is verified", async () => {
  expect((await fetched(app({ ref: "main", checksum: second }))).files).toHaveLength(3)
  expect(
    (await fetched(app({ ref: "main", checksum: second.slice(0, 10), keepGitDirectory: true }))).files,
  ).not.toEqual([])
  const wrong = "a".repeat(10)
  expect(await failing(app({ ref: "v1", checksum: wrong }))).toBe(
    `expected checksum to match ${wrong}, got ${first}`,
  )
  expect(await failing(app({ checksum: "rubbish" }))).toContain("expected hex commit hash")
})

test(".git is kept when it is asked for, and knows only the address", async () => {
  const { directory } = await fetched(
    node(`${servers.http.replace("//", "//ann:secret@")}/app.git`, { keepGitDirectory: true }),
  )
  const config = readFileSync(join(directory, ".git/config"), "utf8")
  expect(config).toContain(`url = ${servers.http}/app.git`)
  expect(config).not.toContain("secret")
  expect(existsSync(join(directory, ".git/hooks"))).toBe(false)
})

test("submodules come from allowed addresses only", async () => {
  const library = servers.commit("library", { "lib.c": "int x;\n" })
  servers.commit("whole", { main: "m\n" })
  servers.submodule("whole", "vendor/library", "../library.git", library)
  const { files } = await fetched(node(`${servers.http}/whole.git`))
  expect(files).toEqual([".gitmodules 644", "main 644", "vendor/library/lib.c 644"])
  for (const [name, url] of [
    ["local", join(servers.root, "library.git")],
    ["file", `file://${join(servers.root, "library.git")}`],
    ["program", "ext::sh -c touch% /tmp/sloop-git-attack"],
  ] as const) {
    servers.commit(name, { main: "m\n" })
    servers.submodule(name, "sub", url, library)
    expect(await failing(node(`${servers.http}/${name}.git`))).toContain("failed to update submodules")
  }
  expect(existsSync("/tmp/sloop-git-attack")).toBe(false)
})

test("nothing in an address or ref becomes an option, a helper or a pattern", async () => {
  const mark = join(servers.root, "attacked")
  for (const ref of [
    `--upload-pack=touch ${mark}`,
    "-h",
    "a..b",
    "a b",
    "x^{/y}",
    "*",
    "a\nb",
    "refs/heads/../../x",
  ])
    expect(await failing(app({ ref }))).toStartWith("invalid Git ref")
  for (const url of [
    `--upload-pack=touch ${mark}`,
    `ext::sh -c touch% ${mark}`,
    "ssh://-oProxyCommand=touch/x",
    "-oProxyCommand=touch@host:x",
    "git@-host:x",
    "git://host/a b",
    "git:///nohost",
  ])
    expect(await failing(node(url))).toStartWith("invalid Git address")
  expect(existsSync(mark)).toBe(false)
})

test("a token is shown to the server it is for, and nowhere else", async () => {
  const expected = `basic ${Buffer.from("x-access-token:T0KEN").toString("base64")}`
  servers.allow = ({ authorization }) => authorization === expected
  const url = `${servers.http}/app.git`
  expect(await failing(node(url))).toContain("failed to fetch remote")
  const run = secret("GIT_AUTH_TOKEN", "T0KEN\n")
  expect((await fetched(node(url, { keepGitDirectory: true }), run)).files).toContain("Dockerfile 644")
  expect(JSON.stringify(ground.told)).not.toContain("T0KEN")
  const host = new URL(url).host
  servers.allow = ({ authorization }) => authorization === "Bearer abc"
  const byHost = secret(`GIT_AUTH_HEADER.${host}`, "Bearer abc")
  expect((await fetched(node(url, { ref: "v1" }), byHost)).files).toContain("Dockerfile 644")
  const stored = readdirSync(ground.rooms.root, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("config"))
    .map((name) => readFileSync(join(ground.rooms.root, name), "utf8"))
  expect(stored.join("")).not.toContain("T0KEN")
})

test("a name and password in the address are no part of what is told", async () => {
  servers.allow = ({ authorization }) =>
    authorization === `basic ${Buffer.from("ann:s3cret").toString("base64")}`
  const url = `${servers.http.replace("//", "//ann:s3cret@")}/app.git`
  const { material } = await fetched(node(url))
  expect(material.uri).toBe(`${servers.http}/app.git`)
  servers.allow = () => false
  expect(await failing(node(url, { ref: "v1" }))).not.toContain("s3cret")
})

test("what the host's user has configured has no part in it", async () => {
  const home = join(servers.root, "home")
  servers.commit("plain", { a: "1\n" })
  const before = process.env.HOME
  process.env.HOME = home
  process.env.GIT_DIR = "/nonexistent"
  try {
    expect((await fetched(node(`${servers.daemon}/plain.git`))).files).toEqual(["a 644"])
  } finally {
    process.env.HOME = before
    delete process.env.GIT_DIR
    rmSync(home, { recursive: true, force: true })
  }
})

test("a server that stalls is given up, and cancelling ends at once", async () => {
  const silent = createServer((socket) => socket.resume())
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
  const url = `git://127.0.0.1:${(silent.address() as AddressInfo).port}/x.git`
  expect(await failing(node(url), { stall: 500 })).toContain("nothing came for 0.5 s")
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 300)
  const began = performance.now()
  expect(await failing(node(url), {}, ground.run({}, controller.signal))).toBe("context canceled")
  expect(performance.now() - began).toBeLessThan(3000)
  await new Promise((resolve) => silent.close(resolve))
  expect(openGit(ground.rooms).shelf.list()).toEqual([])
})

test("a host without git is told what to install", async () => {
  const before = process.env.PATH
  process.env.PATH = "/nonexistent"
  try {
    expect(await failing(app())).toContain("the program git was not found; install git on the machine")
  } finally {
    process.env.PATH = before
  }
})
