// `sloop build` with a real engine: contexts, secrets, agents, outputs, caches, watching, and what is told of the cache.
import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { compile } from "../fixtures/c-program.ts"
import { eventually, type Output, program, type RunOptions, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { work, ok } = engine

let contexts = 0
function context(files: Readonly<Record<string, string>>): string {
  contexts++
  const directory = join(work, `context-${contexts}`)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, ".."), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
  return directory
}

const buildWith = (options: RunOptions, ...words: readonly string[]): Promise<Output> =>
  engine.sloopWith({ timeout: 60_000, ...options }, "build", "--progress=plain", ...words)
async function build(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await buildWith({}, ...words)
  if (code !== 0) throw new Error(`exit code ${code}\n${stdout}${stderr}`)
  return stderr
}
const run = (image: string, ...words: readonly string[]) => ok("run", "--rm", image, ...words)

test("a directory is built in place, and again from the cache", async () => {
  const directory = context({
    Dockerfile: "FROM busybox\nCOPY . /all\nRUN cat /all/a > /b\nCMD cat /b\n",
    a: "1",
    "left.out": "",
    ".dockerignore": "*.out\n",
  })
  const first = await build("-t", "placed", directory)
  expect(first).toMatch(/#\d+ \[2\/3\] COPY \. \/all\n#\d+ DONE/)
  expect(first).toMatch(
    /Built image [0-9a-f]{12} docker\.io\/library\/placed:latest in [\d.]+s, \d of 3 steps cached\n$/,
  )
  expect(await run("placed")).toBe("1")
  expect(await run("placed", "ls", "/all")).toBe("Dockerfile\na")
  const again = await build("-t", "placed", directory)
  expect(again).toContain("3 of 3 steps cached")
  writeFileSync(join(directory, "left.out"), "changed")
  expect(await build(directory)).toContain("3 of 3 steps cached")
  writeFileSync(join(directory, "a"), "2")
  expect(await build("-t", "placed", directory)).toMatch(/[01] of 3 steps cached/)
  expect(await run("placed")).toBe("2")
}, 30_000)

test("another Dockerfile, in the context, beside it, from standard input", async () => {
  const directory = context({ a: "file", "sub/D": "FROM busybox\nCOPY a /from-sub\n" })
  const elsewhere = context({
    D: "FROM busybox\nCOPY . /all\n",
    "D.dockerignore": "sub\n",
  })
  await build("-t", "f:1", "-f", join(directory, "sub", "D"), directory)
  expect(await run("f:1", "cat", "/from-sub")).toBe("file")
  await build("-t", "f:2", "-f", join(elsewhere, "D"), directory)
  expect(await run("f:2", "ls", "/all")).toBe("a")
  const given = await buildWith({ stdin: "FROM busybox\nCOPY a /c\n" }, "-t", "f:3", "-f", "-", directory)
  expect([given.code, await run("f:3", "cat", "/c")]).toEqual([0, "file"])
  const alone = await buildWith({ stdin: "FROM busybox\nRUN echo alone > /c\n" }, "-t", "f:4", "-")
  expect([alone.code, await run("f:4", "cat", "/c")]).toEqual([0, "alone"])
  const tar = Bun.spawnSync(["tar", "-C", directory, "-czf", "-", "."]).stdout
  const packed = await buildWith({ stdin: tar }, "-t", "f:5", "-f", "sub/D", "-")
  expect([packed.code, await run("f:5", "cat", "/from-sub")]).toEqual([0, "file"])
}, 30_000)

test("secrets and agents reach the steps that ask for them, and nothing else", async () => {
  const secret = join(work, "secret")
  writeFileSync(secret, "s3cret-word")
  const directory = context({
    Dockerfile: `FROM busybox
RUN --mount=type=secret,id=file,target=/s cat /s | wc -c > /length
RUN --mount=type=secret,id=word,env=WORD echo "$WORD" | rev > /reversed
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
`,
  })
  await buildWith(
    { env: { WORD: "abc" } },
    "-t",
    "s",
    "--secret",
    `id=file,src=${secret}`,
    "--secret",
    "id=word,env=WORD",
    directory,
  )
  expect(await run("s", "cat", "/length", "/reversed")).toBe("11\ncba")
  expect(await ok("history", "--no-trunc", "s")).not.toContain("s3cret")
  const missing = await buildWith({}, "--secret", "id=x,src=/nowhere/x", directory)
  expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("/nowhere/x")])
}, 30_000)

/** Asks an agent for its keys (message 11) and says how many it has: the number is the last byte of nine. */
const askAgent = `#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int count, char **words) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, words[count - 1], sizeof address.sun_path - 1);
  int agent = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(agent, (struct sockaddr *)&address, sizeof address)) return 1;
  unsigned char question[5] = {0, 0, 0, 1, 11}, answer[9];
  if (write(agent, question, 5) != 5) return 2;
  for (int got = 0; got < 9;) {
    int more = read(agent, answer + got, 9 - got);
    if (more <= 0) return 3;
    got += more;
  }
  printf("%d identities\\n", answer[8]);
}
`

const hasSsh = ["ssh-agent", "ssh-keygen", "musl-gcc"].every((name) => Bun.which(name) !== null)
test.skipIf(!hasSsh)(
  "an ssh agent, and a key without one",
  async () => {
    const key = join(work, "key")
    spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "built-with-it", "-f", key])
    const directory = context({
      Dockerfile: `FROM busybox
COPY agent-probe /probe
RUN --mount=type=ssh /probe "$SSH_AUTH_SOCK" > /identities
RUN --mount=type=ssh,id=other /probe "$SSH_AUTH_SOCK" >> /identities
`,
      "agent-probe.c": askAgent,
    })
    compile(directory, join(directory, "agent-probe.c"))
    const socket = join(work, "agent.sock")
    const agent = Bun.spawn(["ssh-agent", "-D", "-a", socket], { stdout: "ignore" })
    await eventually("the agent listens", () => existsSync(socket))
    const flags = ["--ssh", `default=${key}`, "--ssh", `other=${socket}`]
    const { code, stderr } = await buildWith({}, "-t", "agent", ...flags, directory)
    agent.kill()
    expect([code, stderr.includes("ERROR")]).toEqual([0, false])
    expect(await run("agent", "cat", "/identities")).toBe("1 identities\n0 identities")
    const none = await buildWith({ env: { SSH_AUTH_SOCK: "" } }, "--ssh", "default", directory)
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("make sure SSH_AUTH_SOCK is set")])
  },
  30_000,
)

test("named contexts: directories, images, layouts", async () => {
  const other = context({ x: "other's" })
  await build(
    "-o",
    `type=oci,dest=${join(work, "layout.tar")}`,
    "-t",
    "lay:1",
    context({ Dockerfile: "FROM busybox\nRUN echo lay > /lay\n" }),
  )
  mkdirSync(join(work, "layout"))
  spawnSync("tar", ["-xf", join(work, "layout.tar"), "-C", join(work, "layout")])
  const directory = context({
    Dockerfile: "FROM base\nCOPY --from=other x /x\nCOPY --from=lay /lay /lay\n",
  })
  await build(
    ...["--build-context", `other=${other}`, "--build-context", "base=docker-image://busybox"],
    ...["--build-context", `lay=oci-layout://${join(work, "layout")}:1`, "-t", "named", directory],
  )
  expect(await run("named", "cat", "/x", "/lay")).toBe("other'slay")
}, 30_000)

test("outputs: a directory of whoever asks, tars, layouts, standard output", async () => {
  const directory = context({ Dockerfile: "FROM scratch\nCOPY a /sub/a\n", a: "out" })
  const out = join(work, "out")
  const stderr = await build("-o", out, directory)
  expect(stderr).toContain("exporting")
  expect(readFileSync(join(out, "sub", "a"), "utf8")).toBe("out")
  const archive = join(work, "files.tar")
  await build("-o", `type=tar,dest=${archive}`, directory)
  expect(Bun.spawnSync(["tar", "-tf", archive]).stdout.toString()).toContain("sub/a")
  await build("-o", `type=docker,dest=${join(work, "image.tar")}`, "-t", "loaded:1", directory)
  expect((await engine.docker("image", "inspect", "loaded:1")).code).toBe(1)
  await ok("load", "-i", join(work, "image.tar"))
  expect(await ok("image", "inspect", "-f", "{{len .RootFS.Layers}}", "loaded:1")).toBe("1")
  const piped = Bun.spawnSync([...program(), "build", "-q", "-o", "-", directory], {
    env: { ...process.env, ...engine.env },
  })
  expect(Bun.spawnSync(["tar", "-tf", "-"], { stdin: piped.stdout }).stdout.toString()).toContain("sub/a")
}, 30_000)

test("a caller who is not root gets files that are his", async () => {
  const place = join(work, "someone")
  mkdirSync(place)
  chownSync(place, 65534, 65534)
  Bun.spawnSync(["chmod", "711", engine.root, work])
  Bun.spawnSync(["chmod", "666", engine.socket])
  const directory = context({ Dockerfile: "FROM scratch\nCOPY a /a\n", a: "mine" })
  const bun = program()
  const child = Bun.spawnSync(
    [
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      ...bun,
      "build",
      "-o",
      join(place, "o"),
      directory,
    ],
    { env: { ...process.env, ...engine.env, HOME: place, DOCKER_CONFIG: place } },
  )
  expect([child.exitCode, child.stderr.toString().includes("ERROR")]).toEqual([0, false])
  expect(statSync(join(place, "o", "a")).uid).toBe(65534)
}, 30_000)

test("a cache in a directory is written, and taken from by an engine that has none", async () => {
  const cache = join(work, "cache")
  const directory = context({ Dockerfile: "FROM busybox\nRUN head -c 20 /dev/urandom | md5sum > /sum\n" })
  await build("-t", "c:1", "--cache-to", `type=local,dest=${cache},mode=max`, directory)
  expect(readdirSync(cache).toSorted()).toEqual(["blobs", "index.json", "oci-layout"])
  const sum = await run("c:1", "cat", "/sum")
  expect((await engine.sloop("builder", "prune", "-af")).code).toBe(0)
  await ok("rmi", "-f", "c:1")
  expect(await build("-t", "c:2", "--cache-from", `type=local,src=${cache}`, directory)).toContain("CACHED")
  expect(await run("c:2", "cat", "/sum")).toBe(sum)
}, 60_000)

test("failures: the step, the lines, the code; nothing is left running", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nRUN echo told && exit 3\n" })
  const { code, stderr } = await buildWith({}, "-t", "failed", directory)
  expect(code).toBe(1)
  expect(stderr).toContain(" told\n------\nDockerfile:2\n")
  expect(stderr).toContain("   2 | >>> RUN echo told && exit 3\n")
  expect(stderr).toMatch(
    /ERROR: failed to build: .*process "\/bin\/sh -c echo told && exit 3" did not complete successfully: exit code: 3\n$/,
  )
  const syntax = await buildWith({}, context({ Dockerfile: "FROM busybox\nFOO\n" }))
  expect(syntax.stderr).toContain("dockerfile parse error on line 2: unknown instruction: FOO")
  const missing = await buildWith({}, context({ Dockerfile: "FROM busybox\nCOPY none /\n" }))
  expect(missing.stderr).toContain('"/none": not found')
  const slow = context({ Dockerfile: "FROM busybox\nRUN sleep 87654\n" })
  const child = Bun.spawn([...program(), "build", slow], {
    env: { ...process.env, ...engine.env },
    stdout: "ignore",
    stderr: "ignore",
  })
  const sleeps = () => Bun.spawnSync(["pgrep", "-f", "^sleep 87654$"]).stdout.length > 0
  await eventually("the step runs", sleeps)
  child.kill("SIGINT")
  expect(await child.exited).toBe(130)
  await eventually("the step has ended", () => !sleeps())
}, 30_000)

test("check, outline and targets", async () => {
  const directory = context({
    Dockerfile: "# the first one\nFROM busybox AS one\nARG A=1\nmaintainer me\nFROM one AS two\n",
  })
  const checked = await engine.sloop("build", "--check", directory)
  expect([checked.code, checked.stdout]).toEqual([1, expect.stringContaining("MaintainerDeprecated")])
  const targets = await engine.sloop("build", "--call", "targets,format=json", directory)
  expect(targets.code).toBe(0)
  expect(JSON.stringify(JSON.parse(targets.stdout))).toContain('"name":"one"')
}, 30_000)

test("what builds leave: history, the cache, disk use, prune", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nRUN echo kept > /k\n" })
  await build("-t", "kept", directory)
  const history = (await engine.sloop("builder", "history", "--format", "{{.ID}} {{.Status}} {{.Name}}"))
    .stdout
  expect(history).toContain(`Completed ${directory}`)
  const [newest = ""] = history.split(" ")
  expect((await engine.sloop("builder", "history", "rm", newest)).code).toBe(0)
  expect((await engine.sloop("builder", "history", "-q", "--no-trunc")).stdout).not.toContain(newest)
  expect((await engine.sloop("builder", "du")).stdout).toContain("RUN echo kept > /k")
  expect((await engine.sloop("builder", "du", "--verbose", "--filter", "type=regular")).stdout).toContain(
    "Description:",
  )
  expect((await engine.sloop("system", "df", "-v")).stdout).toMatch(/CACHE ID[\s\S]*regular/)
  const pruned = await engine.sloop("builder", "prune", "-af")
  expect([pruned.code, pruned.stdout]).toEqual([0, expect.stringContaining("Total reclaimed space")])
  expect((await engine.sloop("builder", "du", "--format", "{{.ID}}")).stdout).toBe("")
  expect(await run("kept", "cat", "/k")).toBe("kept")
}, 30_000)

test("--watch builds again when a file changes that counts", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nCOPY a /a\n", a: "1", ".dockerignore": "ignored\n" })
  const child = Bun.spawn(
    [...program(), "build", "--watch", "--progress=plain", "-t", "watched", directory],
    {
      env: { ...process.env, ...engine.env },
      stdout: "ignore",
      stderr: "pipe",
    },
  )
  let shown = ""
  const reading = (async () => {
    for await (const chunk of child.stderr) shown += Buffer.from(chunk).toString()
  })()
  const rounds = () => shown.split("Watching ").length - 1
  await eventually("the first build", () => rounds() === 1)
  writeFileSync(join(directory, "ignored"), "x")
  await Bun.sleep(400)
  expect(rounds()).toBe(1)
  writeFileSync(join(directory, "a"), "2")
  await eventually("the second build", () => rounds() === 2)
  expect(shown).toContain("Changed: a\n")
  expect(await run("watched", "cat", "/a")).toBe("2")
  writeFileSync(join(directory, "Dockerfile"), "FROM busybox\nFOO\n")
  await eventually("a build that fails", () => rounds() === 3)
  expect(shown).toContain("unknown instruction: FOO")
  writeFileSync(join(directory, "Dockerfile"), "FROM busybox\nCOPY a /b\n")
  await eventually("a build that is well again", () => rounds() === 4)
  expect(await run("watched", "cat", "/b")).toBe("2")
  child.kill("SIGINT")
  expect(await child.exited).toBe(0)
  await reading
}, 60_000)

test("a date from outside makes the same image of the same files", async () => {
  const files = { Dockerfile: "FROM busybox\nCOPY a /a\nRUN echo x > /x\n", a: "1" }
  const ids: string[] = []
  for (const tag of ["dated:1", "dated:2"]) {
    const file = join(work, tag)
    await buildWith(
      { env: { SOURCE_DATE_EPOCH: "1700000000" } },
      "--no-cache",
      "-t",
      tag,
      "--iidfile",
      file,
      context(files),
    )
    ids.push(readFileSync(file, "utf8"))
  }
  expect(ids[0]).toBe(ids[1] ?? "")
  expect(ids[0]).toStartWith("sha256:")
  expect(existsSync(join(work, "dated:1"))).toBe(true)
}, 30_000)

test("on a terminal the steps are drawn live, in colours unless NO_COLOR says otherwise", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nRUN echo drawn; sleep 0.4\n" })
  for (const env of [{}, { NO_COLOR: "1" }]) {
    let shown = ""
    const child = Bun.spawn([...program(), "build", "--no-cache", "-t", "drawn", directory], {
      env: { ...process.env, ...engine.env, ...env },
      terminal: {
        cols: 70,
        rows: 30,
        data: (_, bytes) => {
          shown += Buffer.from(bytes).toString()
        },
      },
    })
    expect(await child.exited).toBe(0)
    expect(shown).toContain(" => => # drawn")
    expect(shown).toMatch(/\[\+\] Building [\d.]+s \((\d+)\/\1\) FINISHED/)
    expect(shown).toMatch(/Built image [0-9a-f]{12} docker.io\/library\/drawn:latest/)
    expect(shown.includes("\u001b[34m")).toBe(!("NO_COLOR" in env))
    expect(shown).toMatch(/steps cached\r\n(Slowest: .*\r\n)?$/)
  }
}, 30_000)
