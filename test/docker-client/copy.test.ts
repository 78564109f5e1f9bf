// Files in and out of containers by the docker client: cp, diff, export, commit.
import { afterAll, expect } from "bun:test"
import { execFileSync } from "node:child_process"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { execute, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, dockerWith, ok, work } = engine

const tree = join(work, "tree")
mkdirSync(join(tree, "deep"), { recursive: true })
writeFileSync(join(tree, "file"), "plain")
writeFileSync(join(tree, "deep", "tool"), "#!/bin/sh\n", { mode: 0o751 })
symlinkSync("file", join(tree, "link"))
execFileSync("chown", ["-R", "1234:4321", tree])

for (const kind of ["stopped", "running"] as const) {
  proof(["cp"], `cp into and out of a ${kind} container`, async () => {
    await ok("create", "--name", "box", "-v", "/volume", "busybox", "sleep", "100")
    if (kind === "running") await ok("start", "box")
    const look = async (path: string) => {
      const listing = await execute(["docker", "cp", `box:${path}`, "-"], { env: engine.env })
      expect(listing.code).toBe(0)
      return listing.stdout
    }
    // A file to a new name, into a directory, and over a file.
    await ok("cp", join(tree, "file"), "box:/tmp/renamed")
    expect(await look("/tmp/renamed")).toContain("plain")
    await ok("cp", join(tree, "file"), "box:/tmp/")
    expect(await look("/tmp/file")).toContain("plain")
    // A directory: into an existing one, to a new name, and its contents only.
    await ok("cp", tree, "box:/tmp")
    await ok("cp", tree, "box:/root/copy")
    await ok("cp", `${tree}/.`, "box:/volume")
    const out = join(work, `out-${kind}`)
    mkdirSync(out)
    for (const path of ["/tmp/tree", "/root/copy", "/volume"]) {
      const target = join(out, path.replaceAll("/", "_"))
      await ok("cp", `box:${path}`, target)
      expect(readdirSync(target).sort()).toEqual(["deep", "file", "link"])
      expect(readFileSync(join(target, "file"), "utf8")).toBe("plain")
      expect(readlinkSync(join(target, "link"))).toBe("file")
      expect(statSync(join(target, "deep/tool")).mode & 0o777).toBe(0o751)
    }
    if (kind === "running") {
      expect(await ok("exec", "box", "stat", "-c", "%u:%g %a", "/root/copy/deep/tool")).toBe("1234:4321 751")
      expect(await ok("exec", "box", "cat", "/volume/file")).toBe("plain")
    }
    // A link is copied as a link, and followed with -L.
    await ok("cp", "box:/tmp/tree/link", join(out, "link"))
    expect(lstatSync(join(out, "link")).isSymbolicLink()).toBe(true)
    await ok("cp", "-L", "box:/tmp/tree/link", join(out, "followed"))
    expect(readFileSync(join(out, "followed"), "utf8")).toBe("plain")
    // Standard input and output carry tars.
    const tar = execFileSync("tar", ["-C", tree, "-cf", "-", "file"])
    expect((await dockerWith({ stdin: tar }, "cp", "-", "box:/root")).code).toBe(0)
    expect(await look("/root/file")).toContain("plain")
    // Refusals.
    const absent = await docker("cp", "box:/no/such", out)
    expect(absent.code).toBe(1)
    expect(absent.stderr).toContain("Could not find the file /no/such in container box")
    expect((await docker("cp", tree, "box:/etc/passwd")).code).toBe(1)
    expect((await docker("cp", join(tree, "file"), "box:/no/such/dir/")).code).toBe(1)
    expect((await docker("cp", "nobody:/etc", out)).stderr).toContain("No such container: nobody")
    await ok("rm", "-fv", "box")
  })
}

proof(["cp --follow-link", "cp --quiet"], "cp never follows a link out of the container", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "sly",
    "busybox",
    "sh",
    "-c",
    "ln -s /tmp /escape; ln -s ../../../../../../etc/hostname /name; echo up; sleep 100",
  )
  await engine.says("sly", "up")
  writeFileSync(join(work, "payload"), "x")
  await ok("cp", "-q", join(work, "payload"), "sly:/escape/from-cp")
  expect(existsSync("/tmp/from-cp")).toBe(false)
  expect(await ok("exec", "sly", "cat", "/tmp/from-cp")).toBe("x")
  await ok("cp", "-L", "sly:/name", join(work, "name"))
  expect(readFileSync(join(work, "name"), "utf8").trim()).toBe(await ok("exec", "sly", "hostname"))
  await ok("rm", "-f", "sly")
})

proof(["cp --archive"], "cp -a gives the files to the container's user", async () => {
  for (const [user, owner] of [
    ["33:4", "33:4"],
    ["www-data", "33:33"],
  ] as const) {
    await ok("run", "-d", "--name", "owned", "-u", user, "busybox", "sleep", "100")
    await ok("cp", "-a", tree, "owned:/tmp/mine")
    expect(await ok("exec", "owned", "stat", "-c", "%u:%g", "/tmp/mine/file")).toBe(owner)
    await ok("cp", tree, "owned:/tmp/kept")
    expect(await ok("exec", "owned", "stat", "-c", "%u:%g", "/tmp/kept/file")).toBe("1234:4321")
    await ok("rm", "-f", "owned")
  }
})

proof(["cp"], "cp into a read-only container or mount is refused", async () => {
  await ok("create", "--name", "ro", "--read-only", "-v", `${tree}:/bound:ro`, "busybox", "sleep", "9")
  const root = await docker("cp", join(tree, "file"), "ro:/root")
  expect(root.code).toBe(1)
  expect(root.stderr).toContain("container rootfs is marked read-only")
  const mount = await docker("cp", join(tree, "file"), "ro:/bound")
  expect(mount.code).toBe(1)
  expect(mount.stderr).toContain("mounted volume is marked read-only")
  await ok("rm", "ro")
})

proof(["diff"], "diff: added, changed, deleted", async () => {
  await ok(
    "run",
    "--name",
    "changed",
    "-v",
    "/volume",
    "busybox",
    "sh",
    "-c",
    "echo x > /new; rm /etc/group; echo y >> /etc/passwd; mkdir -p /d/e; echo v > /volume/f",
  )
  expect((await ok("diff", "changed")).split("\n").sort()).toEqual(
    ["A /d", "A /d/e", "A /new", "A /volume", "C /etc", "C /etc/passwd", "D /etc/group"].sort(),
  )
  await ok("rm", "-v", "changed")
})

proof(
  ["export", "export --output", "import", "import --change", "import --message"],
  "export, import",
  async () => {
    await ok(
      "run",
      "--name",
      "exported",
      "busybox",
      "sh",
      "-c",
      "echo kept > /kept; chown 33 /kept; ln /kept /hard; rm /etc/group",
    )
    const file = join(work, "root.tar")
    await ok("export", "-o", file, "exported")
    const listing = execFileSync("tar", ["-tvf", file, "--numeric-owner"], { encoding: "utf8" })
    expect(listing).toMatch(/ 33\/0 .* (kept|hard)$/m)
    expect(listing).not.toContain("etc/group\n")
    const id = await ok(
      "import",
      "-m",
      "made here",
      "-c",
      'CMD ["cat", "/kept"]',
      "-c",
      "ENV A=b",
      "-c",
      "LABEL l=m",
      file,
      "imported:v1",
    )
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(await ok("run", "--rm", "imported:v1")).toBe("kept")
    expect(await ok("run", "--rm", "imported:v1", "stat", "-c", "%u %h", "/kept")).toBe("33 2")
    expect(await ok("image", "inspect", "-f", "{{json .Config.Labels}} {{.Comment}}", "imported:v1")).toBe(
      '{"l":"m"} made here',
    )
    const piped = await dockerWith({ stdin: readFileSync(file) }, "import", "-", "imported:v2")
    expect(piped.code).toBe(0)
    const garbage = await dockerWith(
      { stdin: "this is no tar, not at all\n".repeat(100) },
      "import",
      "-",
      "imported:v3",
    )
    expect(garbage.code).toBe(1)
    expect(garbage.stderr).not.toBe("")
    await ok("rm", "exported")
    await ok("rmi", "imported:v1", "imported:v2")
  },
)

proof(
  ["commit", "commit --change", "commit --author", "commit --message", "commit --pause"],
  "commit",
  async () => {
    await ok(
      "run",
      "--name",
      "worked",
      "-e",
      "FROM=run",
      "busybox",
      "sh",
      "-c",
      "echo made > /made; rm /etc/group; mkdir /etc/new",
    )
    const id = await ok(
      "commit",
      "-a",
      "me",
      "-m",
      "why",
      "-c",
      "ENV MORE=1",
      "-c",
      'ENTRYPOINT ["cat"]',
      "-c",
      'CMD ["/made"]',
      "worked",
      "result:tag",
    )
    expect(await ok("run", "--rm", "result:tag")).toBe("made")
    expect((await docker("run", "--rm", "result:tag", "/etc/group")).code).toBe(1)
    expect(
      await ok(
        "image",
        "inspect",
        "-f",
        "{{.Id}} {{.Author}} {{.Comment}} {{len .RootFS.Layers}}",
        "result:tag",
      ),
    ).toBe(`${id} me why 2`)
    expect(await ok("run", "--rm", "--entrypoint", "env", "result:tag")).toMatch(
      /FROM=run\n(.*\n)*MORE=1|MORE=1\n(.*\n)*FROM=run/,
    )
    expect(await ok("history", "--format", "{{.Comment}}", "result:tag")).toMatch(/^why\n/)
    await ok("rm", "worked")
    await ok("rmi", "result:tag")
  },
)
