// Images by the docker client: list, tag, inspect, history, save and load, removal, prune.
import { afterAll, expect } from "bun:test"
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, dockerWith, ok, work } = engine
const id = await ok("image", "inspect", "-f", "{{.Id}}", "busybox")

/** An image with a layer of its own on busybox. */
const derive = async (name: string, script: string): Promise<string> => {
  await ok("run", "--name", "derive", "busybox", "sh", "-c", script)
  const made = await ok("commit", "-c", 'CMD ["cat", "/mark"]', "derive", name)
  await ok("rm", "derive")
  return made
}

proof(
  ["images", "images --quiet", "images --no-trunc", "images --filter", "images --format", "images --all"],
  "images",
  async () => {
    expect(await ok("images", "--format", "{{.Repository}}:{{.Tag}}")).toBe("busybox:latest")
    expect(await ok("images", "-q", "--no-trunc")).toBe(id)
    expect(await ok("images", "busybox:none", "-q")).toBe("")
    expect(await ok("images", "--filter", "reference=busy*", "-q", "--no-trunc")).toBe(id)
    expect(await ok("images", "--filter", "dangling=true", "-q")).toBe("")
    expect(await ok("images")).toMatch(
      /^REPOSITORY\s+TAG\s+IMAGE ID\s+CREATED\s+SIZE\nbusybox\s+latest\s+[0-9a-f]{12}\s+.*MB$/,
    )
  },
)

proof(["tag", "rmi"], "tag and untag", async () => {
  await ok("tag", "busybox", "other.example/team/box:1.0")
  expect(await ok("images", "--format", "{{.Repository}}:{{.Tag}}", "other.example/team/box")).toBe(
    "other.example/team/box:1.0",
  )
  await ok("tag", id.slice(7, 19), "short")
  expect(await ok("rmi", "short", "other.example/team/box:1.0")).toBe(
    "Untagged: short:latest\nUntagged: other.example/team/box:1.0",
  )
  expect((await docker("tag", "busybox", "Bad:Name")).code).toBe(1)
  expect((await docker("tag", "absent", "x")).stderr).toContain("No such image: absent")
})

proof(["rmi", "rmi --force", "image rm"], "rmi: conflicts and deletion", async () => {
  await ok("create", "--name", "user", "busybox")
  const used = await docker("rmi", "busybox")
  expect(used.code).toBe(1)
  expect(used.stderr).toMatch(
    /conflict: unable to remove repository reference "busybox" \(must force\) - container [0-9a-f]{12} is using its referenced image [0-9a-f]{12}/,
  )
  await ok("rm", "user")
  const child = await derive("child", "echo child > /mark")
  await ok("tag", "child", "second")
  const several = await docker("rmi", child)
  expect(several.stderr).toMatch(
    /unable to delete [0-9a-f]{12} \(must be forced\) - image is referenced in multiple repositories/,
  )
  expect(await ok("rmi", "second")).toBe("Untagged: second:latest")
  expect(await ok("rmi", "child")).toMatch(new RegExp(`^Untagged: child:latest\nDeleted: ${child}`))
  expect((await docker("rmi", "child")).stderr).toContain("No such image: child")
  await derive("child", "echo > /mark")
  await ok("run", "-d", "--name", "user", "child", "sleep", "100")
  const running = await docker("rmi", "-f", await ok("image", "inspect", "-f", "{{.Id}}", "child"))
  expect(running.stderr).toContain("cannot be forced) - image is being used by running container")
  await ok("rm", "-f", "user")
  await ok("rmi", "-f", "child")
})

proof(["history", "history --no-trunc", "image inspect"], "history and inspect", async () => {
  await derive("aged", "echo > /mark")
  expect(await ok("history", "-q", "--no-trunc", "aged")).toMatch(/^sha256:[0-9a-f]{64}\n(sha256:|<missing>)/)
  const [image] = JSON.parse(await ok("image", "inspect", "aged"))
  expect(image.RepoTags).toEqual(["aged:latest"])
  expect(image.RootFS.Layers).toHaveLength(2)
  expect(image.Os).toBe("linux")
  expect(image.Config.Cmd).toEqual(["cat", "/mark"])
  expect(image.Size).toBeGreaterThan(1_000_000)
  expect((await docker("image", "inspect", "absent")).stderr).toContain("No such image: absent")
  await ok("rmi", "aged")
})

proof(
  ["save", "save --output", "load", "load --input", "load --quiet"],
  "save and load keep ids, names and layers",
  async () => {
    const made = await derive("round:trip", "echo around > /mark; rm /etc/group")
    const file = join(work, "saved.tar")
    await ok("save", "-o", file, "round:trip", "busybox")
    const names = execFileSync("tar", ["-tf", file], { encoding: "utf8" })
    for (const name of ["manifest.json", "index.json", "oci-layout"])
      expect(names.split("\n")).toContain(name)
    await ok("rmi", "round:trip", "busybox")
    expect(await ok("images", "-q")).toBe("")
    const loaded = await ok("load", "-i", file)
    expect(loaded.split("\n").sort()).toEqual(["Loaded image: busybox:latest", "Loaded image: round:trip"])
    expect(await ok("image", "inspect", "-f", "{{.Id}}", "round:trip", "busybox")).toBe(`${made}\n${id}`)
    expect(await ok("run", "--rm", "round:trip")).toBe("around")
    expect((await docker("run", "--rm", "round:trip", "cat", "/etc/group")).code).toBe(1)

    // The same as the older docker-archive alone, and as an OCI layout alone; then through a gzip.
    const parts = join(work, "parts")
    mkdirSync(parts)
    execFileSync("tar", ["-C", parts, "-xf", file])
    const only = (name: string, without: readonly string[]) => {
      execFileSync("tar", [
        "-C",
        parts,
        "-cf",
        join(work, name),
        ...without.map((word) => `--exclude=./${word}`),
        ".",
      ])
      return join(work, name)
    }
    for (const archive of [
      only("docker.tar", ["index.json", "oci-layout"]),
      only("oci.tar", ["manifest.json", "repositories"]),
    ]) {
      await ok("rmi", "round:trip", "busybox")
      await ok("load", "-q", "-i", archive)
      expect(await ok("image", "inspect", "-f", "{{.Id}}", "round:trip", "busybox")).toBe(`${made}\n${id}`)
      expect(await ok("run", "--rm", "round:trip")).toBe("around")
    }
    execFileSync("gzip", ["-1", "-k", file])
    const piped = await dockerWith({ stdin: readFileSync(`${file}.gz`) }, "load")
    expect(piped.code).toBe(0)
    expect((await dockerWith({ stdin: "no archive at all" }, "load")).code).toBe(1)
    expect((await docker("save", "-o", join(work, "x"), "absent")).stderr).toContain("absent")
    await ok("rmi", "round:trip")
  },
)

proof(["image prune", "image prune --all", "image prune --force"], "image prune", async () => {
  await derive("loose", "echo 1 > /mark")
  await derive("loose", "echo 2 > /mark")
  expect(await ok("images", "--filter", "dangling=true", "--format", "{{.Repository}}:{{.Tag}}")).toBe(
    "<none>:<none>",
  )
  expect(await ok("image", "prune", "-f")).toMatch(
    /^Deleted Images:\ndeleted: sha256:[0-9a-f]{64}\n(deleted: .*\n)*\nTotal reclaimed space: /,
  )
  expect(await ok("images", "--filter", "dangling=true", "-q")).toBe("")
  await ok("create", "--name", "user", "busybox")
  expect(await ok("image", "prune", "-af")).toContain("untagged: loose:latest")
  expect(await ok("images", "--format", "{{.Repository}}")).toBe("busybox")
  await ok("rm", "user")
})

proof(["build"], "build says that it is not there yet", async () => {
  const result = await docker("build", "-")
  expect(result.code).not.toBe(0)
})
