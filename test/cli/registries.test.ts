// pull, push, login, logout and search: the same words and files as the docker client's.
import { afterAll, expect, test } from "bun:test"
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { hasDockerRegistry, startRegistry } from "../fixtures/docker-registry.ts"
import { startEngine } from "../fixtures/engine.ts"
import { expectSame } from "./side-by-side.ts"

if (!hasDockerRegistry()) throw new Error("these tests need Debian's docker-registry")
const account = { username: "someone", password: "secret word" }
const [plain, locked] = await Promise.all([startRegistry(), startRegistry({ account })])
const engine = await startEngine()
afterAll(async () => {
  await engine.close()
  await plain.close()
  await locked.close()
}, 60_000)
const { sloop, sloopWith, ok } = engine
const name = `${plain.host}/team/box:1`
const configFile = join(engine.env.DOCKER_CONFIG ?? "", "config.json")
const readConfig = () => JSON.parse(readFileSync(configFile, "utf8"))

test("push, pull and run tell what docker tells", async () => {
  await ok("tag", "busybox", name)
  await sloop("push", name)
  await expectSame(engine, ["push", name])
  await expectSame(engine, ["push", "-q", name])
  await expectSame(engine, ["pull", name])
  await expectSame(engine, ["pull", "-q", name])
  await expectSame(engine, ["pull", "-a", `${plain.host}/team/box`])
  for (const words of [
    ["pull", `${plain.host}/absent`],
    ["pull", `${plain.host}/team/box:absent`],
    ["pull", "-a", name],
    ["pull", "Upper"],
    ["push", `${plain.host}/absent`],
    ["push", "-a", name],
    ["pull", "--platform", "linux/s390x", name],
    ["logout", plain.host],
    ["search", "--limit", "1000", `${plain.host}/x`],
  ])
    await expectSame(engine, words)
  await ok("rmi", name)
  const pulled = await sloop("pull", name)
  expect(pulled.stdout).toMatch(
    new RegExp(
      `^1: Pulling from team/box\n(?:[0-9a-f]{12}: .*\n)+Digest: sha256:[0-9a-f]{64}\nStatus: Downloaded newer image for ${name}\n${name}\n$`,
    ),
  )
  await ok("rmi", name)
  const ran = await sloop("run", "--rm", name, "echo", "ran")
  expect(ran.stdout).toBe("ran\n")
  expect(ran.stderr).toContain(`Unable to find image '${name}' locally\n1: Pulling from team/box\n`)
  await expectSame(engine, ["search", `${plain.host}/box`])
}, 60_000)

test("login keeps an account where docker finds it, and the other way round", async () => {
  const image = `${locked.host}/private:1`
  await ok("tag", "busybox", image)
  expect((await sloop("push", image)).stderr).toContain("unauthorized: authentication required")
  const wrong = await sloopWith(
    { stdin: "wrong" },
    "login",
    "-u",
    account.username,
    "--password-stdin",
    locked.host,
  )
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toContain("failed with status: 401")
  const right = await sloopWith(
    { stdin: account.password },
    "login",
    "-u",
    account.username,
    "--password-stdin",
    locked.host,
  )
  expect(right).toMatchObject({ code: 0, stdout: "Login Succeeded\n" })
  expect(right.stderr).toContain(`stored unencrypted in '${configFile}'`)
  expect(statSync(configFile).mode & 0o777).toBe(0o600)
  expect(await sloop("push", image)).toMatchObject({ code: 0 })
  await ok("push", image)
  expect((await sloop("login", locked.host)).stdout).toBe(
    "Authenticating with existing credentials...\nLogin Succeeded\n",
  )
  expect((await sloop("logout", locked.host)).stdout).toBe(`Removing login credentials for ${locked.host}\n`)
  expect(readConfig().auths).toEqual({})
  expect((await sloop("pull", image)).stderr).toContain("unauthorized: authentication required")
  await engine.dockerWith(
    { stdin: account.password },
    "login",
    "-u",
    account.username,
    "--password-stdin",
    locked.host,
  )
  expect(await sloop("pull", image)).toMatchObject({ code: 0 })
  expect((await sloop("login", "-u", "x", "--password-stdin", "-p", "y")).stderr).toContain(
    "mutually exclusive",
  )
  expect((await sloop("login", "--password-stdin")).stderr).toContain("Must provide --username")
  const elsewhere = join(engine.work, "elsewhere")
  const there = await sloopWith(
    { stdin: account.password },
    "--config",
    elsewhere,
    "login",
    "-u",
    account.username,
    "--password-stdin",
    locked.host,
  )
  expect(there.stdout).toBe("Login Succeeded\n")
  await sloop("logout", locked.host)
  expect(await sloop("--config", elsewhere, "pull", image)).toMatchObject({ code: 0 })
  expect((await sloop("login", locked.host)).stderr).toContain("non TTY device")
}, 60_000)

test("credential helpers keep what config.json then does not", async () => {
  const programs = join(engine.work, "programs")
  mkdirSync(programs)
  const kept = join(engine.work, "kept")
  writeFileSync(
    join(programs, "docker-credential-test"),
    `#!/bin/sh
case "$1" in
store) cat > ${kept} ;;
get) read -r server; if [ -s ${kept} ] && grep -q "$server" ${kept}; then cat ${kept}; else echo "credentials not found in native keychain"; exit 1; fi ;;
erase) : > ${kept} ;;
esac
`,
  )
  chmodSync(join(programs, "docker-credential-test"), 0o755)
  writeFileSync(configFile, JSON.stringify({ credHelpers: { [locked.host]: "test" }, psFormat: "kept" }))
  const env = { PATH: `${programs}:${process.env.PATH}` }
  const image = `${locked.host}/private:1`
  expect((await sloopWith({ env }, "pull", image)).stderr).toContain("unauthorized")
  const login = ["login", "-u", account.username, "--password-stdin", locked.host]
  expect(await sloopWith({ env, stdin: account.password }, ...login)).toEqual({
    code: 0,
    stdout: "Login Succeeded\n",
    stderr: "",
  })
  expect(JSON.parse(readFileSync(kept, "utf8"))).toEqual({
    ServerURL: locked.host,
    Username: account.username,
    Secret: account.password,
  })
  expect(readConfig()).toEqual({
    credHelpers: { [locked.host]: "test" },
    psFormat: "kept",
    auths: { [locked.host]: {} },
  })
  expect(await sloopWith({ env }, "pull", image)).toMatchObject({ code: 0 })
  expect((await engine.dockerWith({ env }, "pull", image)).code).toBe(0)
  await sloopWith({ env }, "logout", locked.host)
  expect(readFileSync(kept, "utf8")).toBe("")
  writeFileSync(configFile, JSON.stringify({ credsStore: "absent" }))
  expect((await sloopWith({ env }, "pull", image)).stderr).toContain("docker-credential-absent")
  writeFileSync(configFile, "{")
  expect((await sloop("pull", image)).stderr).toContain("is not valid JSON")
  writeFileSync(configFile, "{}")
}, 60_000)
