// Images that look like what a Dockerfile would make (CVE-2024-24557): the build cache believes in none of them.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"

let engine: TestEngine
beforeAll(async () => {
  engine = await startEngine()
}, 60_000)
afterAll(() => engine.close(), 60_000)

let count = 0
const contextOf = (lines: readonly string[], files: Readonly<Record<string, string>> = {}): string => {
  const directory = join(engine.work, `context-${count++}`)
  mkdirSync(directory)
  for (const [name, text] of Object.entries({ ...files, Dockerfile: `${lines.join("\n")}\n` }))
    writeFileSync(join(directory, name), text)
  return directory
}
const build = async (directory: string, ...more: readonly string[]): Promise<string> => {
  const env = { DOCKER_BUILDKIT: "0" }
  const { code, stdout, stderr } = await engine.dockerWith({ env }, "build", ...more, directory)
  if (code !== 0) throw new Error(`${stdout}${stderr}`)
  return stdout
}

test("an image with the same parent, command and history, but other files, is no cache", async () => {
  // As a committed container has it, which is all that a classic builder looks at.
  const command = "echo honest > /who"
  await engine.ok("create", "--name", "look-alike", "busybox", "/bin/sh", "-c", command)
  const evil = join(engine.work, "who")
  writeFileSync(evil, "evil\n")
  await engine.ok("cp", evil, "look-alike:/who")
  await engine.ok("commit", "--change", 'CMD ["sh"]', "look-alike", "look-alike:1")
  const directory = contextOf(["FROM busybox", `RUN ${command}`])
  for (const more of [[], ["--cache-from", "look-alike:1"]]) {
    const said = await build(directory, "-t", "victim", ...more)
    expect(await engine.ok("run", "--rm", "victim", "cat", "/who")).toBe("honest")
    if (more.length === 0) expect(said).not.toContain("Using cache")
  }
})

test("an image from an archive that claims to be the result of the same steps is no cache", async () => {
  const files = { app: "evil\n" }
  await build(contextOf(["FROM scratch", "COPY app /app", "CMD /app"], files), "-t", "bait")
  const archive = join(engine.work, "bait.tar")
  await engine.ok("save", "-o", archive, "bait")
  await engine.ok("rmi", "bait")
  await engine.ok("builder", "prune", "-af")
  await engine.ok("load", "-i", archive)
  const honest = contextOf(["FROM scratch", "COPY app /app", "CMD /app"], { app: "good\n" })
  const same = contextOf(["FROM scratch", "COPY app /app", "CMD /app"], files)
  for (const directory of [honest, same]) expect(await build(directory)).not.toContain("Using cache")
  await build(honest, "-t", "honest")
  await engine.ok("create", "--name", "honest", "honest")
  await engine.ok("cp", "honest:/app", join(engine.work, "app"))
  expect(await Bun.file(join(engine.work, "app")).text()).toBe("good\n")
})

test("steps that differ only in HEALTHCHECK, ONBUILD or labels are told apart", async () => {
  const files = { app: "app\n" }
  const variants = ["HEALTHCHECK CMD /a", "HEALTHCHECK CMD /b", "ONBUILD RUN /c", "LABEL d=e", "STOPSIGNAL 9"]
  const ids = new Set<string>()
  for (const [at, line] of variants.entries()) {
    await build(contextOf(["FROM scratch", line, "COPY app /app"], files), "-t", `variant:${at}`)
    ids.add(await engine.ok("inspect", "-f", "{{.Id}}", `variant:${at}`))
  }
  expect(ids.size).toBe(variants.length)
  const health = (at: number) => engine.ok("inspect", "-f", "{{json .Config.Healthcheck}}", `variant:${at}`)
  expect(await health(0)).toContain("/a")
  expect(await health(1)).toContain("/b")
  expect(await engine.ok("inspect", "-f", "{{json .Config.OnBuild}}", "variant:2")).toBe('["RUN /c"]')
})
