// Contexts: sloop and docker read and write the same ones; what chooses the engine; TLS and ssh on the way to it.
import { afterAll, expect, test } from "bun:test"
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { createServer } from "node:tls"
import { execute, program, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine({ image: false })
afterAll(() => engine.close(), 60_000)

/** cert.pem, which is its own CA, and key.pem, for 127.0.0.1. */
async function makeCertificate(directory: string): Promise<void> {
  const words = [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
  ]
  const names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
  const files = ["-keyout", join(directory, "key.pem"), "-out", join(directory, "cert.pem")]
  const { code, stderr } = await execute([...words, ...names, ...files])
  if (code !== 0) throw new Error(stderr)
}

const own = `unix://${engine.socket}`
const noHost = { DOCKER_HOST: "", SLOOP_HOST: "", DOCKER_CONTEXT: "" }
let directories = 0
/** sloop and docker over one fresh directory of settings. */
const pair = () => {
  const config = join(engine.work, `config-${++directories}`)
  mkdirSync(config)
  const env = { ...noHost, DOCKER_CONFIG: config }
  return {
    config,
    sloop: (words: string, more: Record<string, string> = {}) =>
      execute([...program(), ...words.split(" ")], { env: { ...env, ...more } }),
    docker: (words: string, more: Record<string, string> = {}) =>
      execute(["docker", ...words.split(" ")], { env: { ...env, ...more } }),
  }
}

test("what one makes the other uses", async () => {
  const { sloop, docker } = pair()
  expect((await sloop(`context create here --docker host=${own} --description mine`)).stdout).toBe("here\n")
  expect((await docker("--context here version --format {{.Server.Os}}")).stdout).toBe("linux\n")
  expect((await docker(`context create there --docker host=${own}`)).code).toBe(0)
  expect((await sloop("--context there version --format {{.Server.Os}}")).stdout).toBe("linux\n")
  expect((await sloop("context use there")).stderr).toBe('Current context is now "there"\n')
  expect((await docker("context show")).stdout).toBe("there\n")
  expect((await sloop("context show")).stdout).toBe("there\n")
  expect((await sloop("ps -q")).code).toBe(0)
  for (const words of [
    "context ls -q",
    "context inspect here",
    "context inspect there",
    "context inspect nope",
    "context create here",
    "context create a/b",
    "context create default",
    "context create xx --docker nope=1",
    "context use nope",
    "context rm there",
    "context rm nope",
    "context rm default",
    "context update nope",
  ]) {
    const [ours, theirs] = [await sloop(words), await docker(words)]
    const plain = (text: string) => text.replace(/\n\nRun.*/s, "\n")
    expect([words, ours.stdout, plain(ours.stderr), ours.code]).toEqual([
      words,
      theirs.stdout,
      plain(theirs.stderr),
      theirs.code,
    ])
  }
  expect((await sloop("context update here --description other")).code).toBe(0)
  expect((await docker("context inspect here --format {{.Metadata}}")).stdout).toContain("other")
  expect((await sloop("context rm -f there")).stdout).toBe("there\n")
  expect((await docker("context show")).stdout).toBe("default\n")
}, 60_000)

test("archives go both ways, keys included", async () => {
  const { sloop, docker, config } = pair()
  await makeCertificate(config)
  const server = createServer(
    { key: readFileSync(join(config, "key.pem")), cert: readFileSync(join(config, "cert.pem")) },
    (socket) => {
      const inner = connect(engine.socket)
      inner.on("error", () => socket.destroy())
      socket.on("error", () => inner.destroy())
      socket.pipe(inner).pipe(socket)
    },
  )
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const host = `tcp://127.0.0.1:${typeof address === "object" ? address?.port : 0}`
  const files = `ca=${config}/cert.pem,cert=${config}/cert.pem,key=${config}/key.pem`
  expect((await sloop(`context create safe --docker host=${host},${files}`)).code).toBe(0)
  const shown = "version --format {{.Server.Os}}"
  expect((await sloop(`--context safe ${shown}`)).stdout).toBe("linux\n")
  expect((await docker(`--context safe ${shown}`)).stdout).toBe("linux\n")
  expect((await sloop(`-H ${host} --tlsverify --tlscacert ${config}/cert.pem ${shown}`)).stdout).toBe(
    "linux\n",
  )
  expect((await sloop(`-H ${host} --tls ${shown}`)).stdout).toBe("linux\n")
  expect((await sloop(`-H ${host} --tlsverify --tlscacert /etc/hostname ${shown}`)).code).toBe(1)
  server.close()
  await sloop(`context export safe ${config}/ours.tar`)
  await docker(`context export safe ${config}/theirs.tar`)
  expect((await docker(`context import a1 ${config}/ours.tar`)).code).toBe(0)
  expect((await sloop(`context import a2 ${config}/theirs.tar`)).code).toBe(0)
  for (const name of ["a1", "a2"]) {
    const [found] = JSON.parse((await docker(`context inspect ${name}`)).stdout)
    expect(found.TLSMaterial.docker.toSorted()).toEqual(["ca.pem", "cert.pem", "key.pem"])
    expect(readFileSync(join(found.Storage.TLSPath, "docker", "key.pem"), "utf8")).toBe(
      readFileSync(join(config, "key.pem"), "utf8"),
    )
  }
}, 60_000)

test("-H, --context, DOCKER_HOST, DOCKER_CONTEXT and the current context, in this order", async () => {
  const { sloop, docker } = pair()
  const nowhere = "unix:///nowhere/s"
  await sloop(`context create good --docker host=${own}`)
  await sloop(`context create dead --docker host=${nowhere}`)
  await sloop("context use dead")
  const cases: [words: string, env: Record<string, string>, works: boolean][] = [
    ["ps", {}, false],
    ["ps", { DOCKER_CONTEXT: "good" }, true],
    ["ps", { DOCKER_CONTEXT: "good", DOCKER_HOST: nowhere }, false],
    ["ps", { DOCKER_HOST: own }, true],
    ["--context good ps", { DOCKER_HOST: nowhere }, true],
    ["--context dead ps", { DOCKER_HOST: own }, false],
    [`-H ${own} ps`, { DOCKER_HOST: nowhere, DOCKER_CONTEXT: "dead" }, true],
    [`-H ${own} --context good ps`, {}, false],
  ]
  for (const [words, env, works] of cases) {
    expect([words, env, (await sloop(words, env)).code === 0]).toEqual([words, env, works])
    expect([words, env, (await docker(words, env)).code === 0]).toEqual([words, env, works])
  }
}, 60_000)

test("ssh: the engine of another machine through its dial-stdio", async () => {
  const { sloop, config } = pair()
  // A stand-in for ssh that runs the command here, as sshd would: by the user's shell.
  const bin = join(config, "bin")
  mkdirSync(bin)
  const words = program().map((word) => `'${word}'`)
  writeFileSync(
    join(bin, "ssh"),
    '#!/bin/sh\nfor last; do :; done\necho "$@" > "$0.said"\nexec sh -c "$last"\n',
  )
  writeFileSync(join(bin, "sloop"), `#!/bin/sh\nDOCKER_HOST=${own} exec ${words.join(" ")} "$@"\n`)
  for (const file of ["ssh", "sloop"]) chmodSync(join(bin, file), 0o755)
  const PATH = `${bin}:${process.env.PATH}`
  const { code, stdout, stderr } = await sloop("-H ssh://me@box:22 version --format {{.Server.Os}}", { PATH })
  expect([stdout, stderr, code]).toEqual(["linux\n", "", 0])
  expect(readFileSync(join(bin, "ssh.said"), "utf8")).toStartWith("-l me -p 22 ")
  writeFileSync(join(bin, "ssh"), "#!/bin/sh\necho Permission denied >&2\nexit 255\n")
  expect((await sloop("-H ssh://box ps", { PATH })).stderr).toContain(
    "ssh ended with code 255: Permission denied",
  )
}, 60_000)
