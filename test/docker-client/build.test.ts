// Builds by the docker client without BuildKit: POST /build with a tar, told step by step as dockerd tells it.
import { afterAll, expect } from "bun:test"
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually, type Output, type RunOptions, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { ok, work } = engine

let contexts = 0
/** A directory with these files; a value that ends with "/" stands for a link. */
function context(files: Readonly<Record<string, string>>): string {
  contexts++
  const directory = join(work, `context-${contexts}`)
  for (const [name, text] of Object.entries({ ...files })) {
    mkdirSync(join(directory, name, ".."), { recursive: true })
    if (text.startsWith("-> ")) symlinkSync(text.slice(3), join(directory, name))
    else writeFileSync(join(directory, name), text)
  }
  return directory
}

const classic = { DOCKER_BUILDKIT: "0" }
const build = (...words: readonly string[]): Promise<Output> => buildWith({}, ...words)
const buildWith = (options: RunOptions, ...words: readonly string[]): Promise<Output> =>
  engine.dockerWith({ timeout: 60_000, ...options, env: { ...classic, ...options.env } }, "build", ...words)

/** Builds that must go well: what is told without the client's own first lines, ids as ID. */
async function told(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await build(...words)
  if (code !== 0) throw new Error(`exit code ${code}\n${stdout}${stderr}`)
  return stdout
    .replace(/^Sending build context.*\n/, "")
    .replace(/(?<=(in|container|--->|built) )[0-9a-f]{12}$/gm, "ID")
}
const run = (image: string, ...words: readonly string[]) => ok("run", "--rm", image, ...words)
const inspect = (image: string, field: string) => ok("image", "inspect", "-f", `{{json ${field}}}`, image)

proof(["build", "build --tag"], "build: steps as dockerd tells them, then from the cache", async () => {
  const directory = context({
    Dockerfile: `ARG V=1
FROM busybox AS one
ENV A=b
RUN echo out; echo err >&2; echo $A > /made
COPY a /a
FROM busybox
COPY --from=one /made /a /w/
WORKDIR /w
LABEL x=y
EXPOSE 80
CMD ["cat", "made", "a"]
`,
    a: "from the context\n",
  })
  const first = await told("-t", "told:1", "-t", "told", directory)
  const lines = first.split("\n")
  expect(lines.filter((line) => line.startsWith("Step "))).toEqual([
    "Step 1/11 : ARG V=1",
    "Step 2/11 : FROM busybox AS one",
    "Step 3/11 : ENV A=b",
    "Step 4/11 : RUN echo out; echo err >&2; echo $A > /made",
    "Step 5/11 : COPY a /a",
    "Step 6/11 : FROM busybox",
    "Step 7/11 : COPY --from=one /made /a /w/",
    "Step 8/11 : WORKDIR /w",
    "Step 9/11 : LABEL x=y",
    "Step 10/11 : EXPOSE 80",
    'Step 11/11 : CMD ["cat", "made", "a"]',
  ])
  const at = lines.indexOf("Step 4/11 : RUN echo out; echo err >&2; echo $A > /made")
  expect(
    lines
      .slice(at + 1, at + 6)
      .map((line) => line.replace(/\u001b\[\d+m/g, ""))
      .toSorted(),
  ).toEqual(
    [" ---> Running in ID", "Removing intermediate container ID", " ---> ID", "err", "out"].toSorted(),
  )
  expect(lines.slice(-4)).toEqual([
    "Successfully built ID",
    "Successfully tagged told:1",
    "Successfully tagged told:latest",
    "",
  ])
  expect(await run("told:1")).toBe("b\nfrom the context")
  const { stdout } = await build("-t", "told:1", directory)
  const base = (await ok("image", "inspect", "-f", "{{.Id}}", "busybox")).slice(7, 19)
  expect(stdout).toContain(`Step 2/11 : FROM busybox AS one\n ---> ${base}\n`)
  expect(stdout).toContain(`Step 6/11 : FROM busybox\n ---> ${base}\n`)
  const again = await told("-t", "told:1", directory)
  expect(again.match(/---> Using cache/g)?.length).toBe(8)
  expect(again).not.toContain("Running in")
  writeFileSync(join(directory, "a"), "changed\n")
  const changed = await told("-t", "told:2", directory)
  expect(changed.match(/---> Using cache/g)?.length).toBe(2)
  expect(await run("told:2")).toBe("b\nchanged")
})

proof(
  ["build --build-arg", "build --target", "build --label", "build --no-cache", "build --file"],
  "arguments, targets, labels, another Dockerfile, no cache",
  async () => {
    const directory = context({
      "sub/File": `FROM busybox AS base
ARG WHO=nobody
RUN echo $WHO > /who
FROM base AS end
RUN exit 3
`,
    })
    const words = ["-f", join(directory, "sub", "File"), "--target", "base", "-t", "who"]
    await told(...words, "--label", "b=2", "--label", "a=1 x", "--build-arg", "WHO=me", directory)
    expect(await run("who", "cat", "/who")).toBe("me")
    expect(await inspect("who", ".Config.Labels")).toBe('{"a":"1 x","b":"2"}')
    await told(...words, directory)
    expect(await run("who", "cat", "/who")).toBe("nobody")
    expect(await told(...words, directory)).toContain("Using cache")
    expect(await told(...words, "--no-cache", directory)).not.toContain("Using cache")
    const env = await buildWith({ env: { WHO: "env" } }, ...words, "--build-arg", "WHO", directory)
    expect(env.code).toBe(0)
    expect(await run("who", "cat", "/who")).toBe("env")
    const unused = await told(...words, "--build-arg", "NOBODY=1", directory)
    expect(unused).toContain("[Warning] One or more build-args [NOBODY] were not consumed")
    const missing = await build("--target", "nowhere", "-f", join(directory, "sub", "File"), directory)
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("nowhere")])
  },
)

proof(["build --quiet", "build --iidfile", "build --rm", "build --force-rm"], "quiet, iidfile", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nRUN echo 1 > /one\n" })
  const file = join(work, "iid")
  const quiet = await build("-q", "--iidfile", file, "-t", "quiet", directory)
  const id = await ok("image", "inspect", "-f", "{{.Id}}", "quiet")
  expect([quiet.code, quiet.stdout.trim(), readFileSync(file, "utf8").trim()]).toEqual([0, id, id])
  expect(await told("--rm=false", "--no-cache", directory)).not.toContain("Removing intermediate")
  expect(await told("--force-rm", "--no-cache", directory)).toContain("Removing intermediate")
})

proof(["build"], "what fails ends with dockerd's words and codes", async () => {
  const failed = async (dockerfile: string, files: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await build(context({ Dockerfile: dockerfile, ...files }))
    const said = stderr.replace(/^DEPRECATED[\s\S]*?\n\n/, "").trim()
    return { code, stdout, said }
  }
  const ran = await failed("FROM busybox\nRUN echo before && exit 3\n")
  expect(ran).toMatchObject({
    code: 3,
    said: "The command '/bin/sh -c echo before && exit 3' returned a non-zero code: 3",
  })
  expect(ran.stdout).toContain("before\n")
  const parsed = await failed("FROM busybox\nFOO x\n")
  expect([parsed.code, parsed.said]).toEqual([
    1,
    "Error response from daemon: dockerfile parse error line 2: unknown instruction: FOO",
  ])
  expect((await failed("FROM busybox\nCOPY nowhere /x\n")).said).toBe(
    "COPY failed: file not found in build context or excluded by .dockerignore: stat nowhere: file does not exist",
  )
  expect((await failed("")).said).toContain("cannot be empty")
  expect((await failed("FROM nowhere.invalid/none\n")).code).toBe(1)
  expect((await failed("FROM busybox\nCOPY --from=nobody /x /\n")).code).toBe(1)
  expect((await failed("FROM busybox\nUSER nobody-knows\nRUN true\n")).said).toContain("nobody-knows")
  expect((await build("-t", "Bad:x", context({ Dockerfile: "FROM busybox\n" }))).stderr).toContain(
    "must be lowercase",
  )
  expect((await build("-f", "nowhere", context({ Dockerfile: "FROM busybox\n" }))).code).not.toBe(0)
})

proof(["build"], "ignore files, links, modes, owners, heredocs, ONBUILD", async () => {
  const directory = context({
    Dockerfile: `FROM busybox
COPY . /all
COPY --chown=5:6 --chmod=640 bin/tool /tool
ADD bin/tool /added/
RUN <<EOF
echo from a heredoc > /here
EOF
COPY <<EOF /written
text $PATH
EOF
ONBUILD RUN echo triggered > /triggered
ONBUILD ENV T=1
`,
    ".dockerignore": "*.log\n!kept.log\nsecret/\n",
    "a.log": "",
    "kept.log": "",
    "secret/key": "",
    "bin/tool": "#!/bin/sh\necho tool\n",
    link: "-> bin/tool",
  })
  chmodSync(join(directory, "bin", "tool"), 0o755)
  await told("-t", "mixed", directory)
  const listed = (await run("mixed", "sh", "-c", "cd /all && find . | sort")).split("\n")
  expect(listed).toEqual([
    ".",
    "./.dockerignore",
    "./Dockerfile",
    "./bin",
    "./bin/tool",
    "./kept.log",
    "./link",
  ])
  expect(await run("mixed", "stat", "-c", "%u:%g %a", "/tool", "/added/tool")).toBe("5:6 640\n0:0 755")
  expect(await run("mixed", "readlink", "/all/link")).toBe("bin/tool")
  expect(await run("mixed", "cat", "/here")).toBe("from a heredoc")
  expect(await run("mixed", "cat", "/written")).toStartWith("text /usr")
  const used = await told("-t", "used", context({ Dockerfile: "FROM mixed\nRUN cat /triggered\n" }))
  expect(used).toContain("# Executing 2 build triggers\n")
  expect(used).toContain("triggered\n")
  expect(await inspect("used", ".Config.OnBuild")).toBe("null")
})

proof(["build"], "standard input: a Dockerfile, a tar, a Dockerfile beside a directory", async () => {
  const text = await buildWith({ stdin: "FROM busybox\nRUN echo in > /in\n" }, "-t", "in", "-")
  expect([text.code, await run("in", "cat", "/in")]).toEqual([0, "in"])
  const directory = context({ Dockerfile: "FROM busybox\nCOPY a /a\n", a: "packed" })
  for (const flags of ["-cf", "-czf", "-cJf", "-cjf"]) {
    const tar = Bun.spawnSync(["tar", "-C", directory, flags, "-", "."]).stdout
    const packed = await buildWith({ stdin: tar }, "-t", "packed", "-")
    expect([flags, packed.code, await run("packed", "cat", "/a")]).toEqual([flags, 0, "packed"])
  }
  const given = await buildWith({ stdin: "FROM busybox\nCOPY a /b\n" }, "-t", "given", "-f", "-", directory)
  expect([given.code, await run("given", "cat", "/b")]).toEqual([0, "packed"])
})

proof(
  [
    "build --add-host",
    "build --network",
    "build --shm-size",
    "build --ulimit",
    "build --memory",
    "build --memory-swap",
    "build --cpu-shares",
    "build --cpu-period",
    "build --cpu-quota",
    "build --cpuset-cpus",
    "build --cpuset-mems",
    "build --cgroup-parent",
    "build --platform",
    "build --pull",
    "build --cache-from",
    "build --compress",
    "build --disable-content-trust",
  ],
  "limits and surroundings of steps",
  async () => {
    const probe = context({
      Dockerfile: `FROM busybox
RUN grep named /etc/hosts; ulimit -n; df -k /dev/shm | tail -1 | awk '{print "shm", $2}'; ls /sys/class/net
`,
    })
    const flags = [
      "--no-cache",
      "--add-host",
      "named:1.2.3.4",
      "--ulimit",
      "nofile=77:77",
      "--shm-size",
      "2m",
    ]
    const all = await told(...flags, "--network", "none", probe)
    expect(all).toMatch(/1\.2\.3\.4\s+named/)
    expect(all).toMatch(/^77$/m)
    expect(all).toMatch(/^shm 2048$/m)
    expect(all).not.toContain("eth0")
    const limits = [
      "--memory",
      "64m",
      "--memory-swap",
      "128m",
      "--cpu-shares",
      "100",
      "--cpu-period",
      "100000",
    ]
    const more = ["--cpu-quota", "90000", "--cpuset-cpus", "0", "--cpuset-mems", "0"]
    const parent = ["--cgroup-parent", engine.cgroupParent, "--platform", "linux/amd64", "--compress"]
    const taken = [...limits, ...more, ...parent, "--cache-from", "busybox", "--disable-content-trust"]
    expect(await told("--no-cache", ...taken, probe)).toContain("Successfully built")
    expect((await build("--pull", context({ Dockerfile: "FROM 127.0.0.1:1/absent\n" }))).code).toBe(1)
    expect((await build("--isolation", "hyperv", probe)).stderr).toContain("unsupported isolation")
    const squashed = context({ Dockerfile: "FROM busybox\nRUN echo 1 > /1\nRUN echo 2 > /2; rm /1\n" })
    // The client offers --squash only with an experimental daemon; the endpoint takes it from everybody.
    const tar = Bun.spawnSync(["tar", "-C", squashed, "-cf", "-", "."]).stdout
    const answer = await fetch("http://localhost/v1.44/build?t=squashed&squash=1", {
      unix: engine.socket,
      method: "POST",
      body: tar,
    })
    expect(await answer.text()).toContain("Successfully tagged squashed:latest")
    expect(await ok("image", "inspect", "-f", "{{len .RootFS.Layers}}", "squashed")).toBe("2")
  },
  60_000,
)

proof(["build"], "Ctrl-C leaves nothing running, and the next build begins where it ended", async () => {
  const directory = context({
    Dockerfile: "FROM busybox\nRUN echo one > /one\nRUN echo started; sleep 98765\n",
  })
  const client = Bun.spawn(["docker", "build", "-t", "never", directory], {
    env: { ...process.env, ...engine.env, ...classic },
    stderr: "ignore",
  })
  const shown = new Response(client.stdout).text()
  const sleeps = () => Bun.spawnSync(["pgrep", "-f", "^sleep 98765$"]).stdout.length > 0
  await eventually("the step runs", sleeps)
  client.kill("SIGINT")
  await client.exited
  expect(await shown).toContain("started")
  await eventually("the step's process is gone", () => !sleeps())
  expect((await engine.docker("image", "inspect", "never")).code).toBe(1)
  writeFileSync(join(directory, "Dockerfile"), "FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n")
  expect(await told("-t", "after", directory)).toContain("---> Using cache")
  expect(await run("after", "cat", "/one", "/two")).toBe("one\ntwo")
})

proof(
  [
    "system df",
    "system df --verbose",
    "builder prune",
    "builder prune --all",
    "builder prune --force",
    "builder prune --filter",
    "builder prune --keep-storage",
  ],
  "the cache in df and its removal",
  async () => {
    const docker = (...words: readonly string[]) => engine.dockerWith({ env: classic }, ...words)
    const cache = async () => {
      const { stdout } = await docker("system", "df", "--format", "{{.Type}} {{.TotalCount}}")
      return Number(/Build Cache (\d+)/.exec(stdout)?.[1])
    }
    await told("-t", "cached", context({ Dockerfile: "FROM busybox\nRUN echo cache > /c\n" }))
    expect(await cache()).toBeGreaterThan(0)
    expect(await ok("system", "df", "-v")).toMatch(/regular/)
    expect(
      (await docker("builder", "prune", "-f", "--keep-storage", "10gb", "--filter", "until=1h")).code,
    ).toBe(0)
    expect(await cache()).toBeGreaterThan(0)
    const pruned = await docker("builder", "prune", "-af")
    expect([pruned.code, pruned.stdout]).toEqual([0, expect.stringContaining("Total reclaimed space:")])
    expect(await cache()).toBe(0)
    expect(await run("cached", "cat", "/c")).toBe("cache")
    expect((await docker("builder", "prune", "-f", "--filter", "zz=1")).code).toBe(1)
  },
)

proof(["build"], "a build is cancelled by its id", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nRUN echo begun; sleep 96543\n" })
  const tar = Bun.spawnSync(["tar", "-C", directory, "-cf", "-", "."]).stdout
  const post = (path: string, body?: Buffer) =>
    fetch(`http://localhost/v1.44${path}`, { unix: engine.socket, method: "POST", ...(body ? { body } : {}) })
  const answer = await post("/build?buildid=cancelled-by-id", tar)
  const text = answer.text()
  const sleeps = () => Bun.spawnSync(["pgrep", "-f", "^sleep 96543$"]).stdout.length > 0
  await eventually("the step runs", sleeps)
  expect((await post("/build/cancel?id=cancelled-by-id")).status).toBe(204)
  expect((await text).trim().split("\n").at(-1)).toMatch(/^\{"errorDetail":.*cancel/)
  await eventually("the step's process is gone", () => !sleeps())
})

proof(["history", "image inspect"], "the image says how it was made", async () => {
  const dockerfile = 'FROM busybox\nMAINTAINER me\nRUN echo 1 > /1\nENTRYPOINT ["echo"]\n'
  await told("-t", "made", context({ Dockerfile: dockerfile }))
  const history = await ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", "made")
  expect(history.split("\n").slice(0, 3)).toEqual([
    '/bin/sh -c #(nop)  ENTRYPOINT ["echo"]',
    "/bin/sh -c echo 1 > /1",
    "/bin/sh -c #(nop)  MAINTAINER me",
  ])
  expect(await inspect("made", ".Author")).toBe('"me"')
  expect(await inspect("made", ".Config.Entrypoint")).toBe('["echo"]')
})
