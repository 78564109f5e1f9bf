// The daemon's doors: TCP for clients that prove a certificate, sockets that systemd opened, the word that it is ready.
import { afterAll, expect, test } from "bun:test"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { eventually, execute, program, startEngine } from "../fixtures/engine.ts"
import { testLauncher } from "../fixtures/launcher-kernel.ts"

const root = mkdtempSync("/tmp/sls-")
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (name: string) => join(root, name)

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      probe.close(() => resolve(port))
    })
  })

/** NAME.pem and NAME.key, signed by `by` or by itself. */
function certificate(name: string, by?: string): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at(`${name}.key`)]
  const made =
    by === undefined
      ? spawnSync("openssl", [
          "req",
          "-x509",
          ...key,
          "-days",
          "2",
          "-subj",
          `/CN=${name}`,
          "-out",
          at(`${name}.pem`),
        ])
      : spawnSync("sh", [
          "-c",
          `openssl req ${key.join(" ")} -subj /CN=${name} -out ${at("r.csr")} && printf subjectAltName=IP:127.0.0.1 > ${at("e")} &&
           openssl x509 -req -in ${at("r.csr")} -CA ${at(`${by}.pem`)} -CAkey ${at(`${by}.key`)} -CAcreateserial -days 2 -extfile ${at("e")} -out ${at(`${name}.pem`)}`,
        ])
  if (made.status !== 0) throw new Error(made.stderr.toString())
}

test("over TCP with --tlsverify only clients with a certificate of the authority are heard, streams too", async () => {
  certificate("ca")
  certificate("server", "ca")
  certificate("client", "ca")
  certificate("stranger")
  const port = await freePort()
  const tls = [
    "--tlsverify",
    "--tlscacert",
    at("ca.pem"),
    "--tlscert",
    at("server.pem"),
    "--tlskey",
    at("server.key"),
  ]
  // 0.0.0.0 needs no --allow-unprotected-tcp: it is protected.
  const engine = await startEngine({ flags: ["-H", `tcp://0.0.0.0:${port}`, ...tls] })
  try {
    const as = (name: string, ...words: string[]) =>
      execute(
        [
          "docker",
          "--tlsverify",
          "--tlscacert",
          at("ca.pem"),
          "--tlscert",
          at(`${name}.pem`),
          "--tlskey",
          at(`${name}.key`),
        ].concat("-H", `tcp://127.0.0.1:${port}`, words),
        { stdin: "through\n", env: { DOCKER_CONFIG: at("config") } },
      )
    const ran = await as("client", "run", "--rm", "-i", "busybox", "cat")
    expect(ran).toEqual({ code: 0, stdout: "through\n", stderr: "" })
    expect((await as("stranger", "ps")).code).not.toBe(0)
    const plain = await fetch(`http://127.0.0.1:${port}/_ping`).then(
      ({ status }) => status,
      () => "refused",
    )
    expect(plain).not.toBe(200)
    const nameless = await fetch(`https://127.0.0.1:${port}/_ping`, {
      tls: { ca: readFileSync(at("ca.pem"), "utf8") },
    }).then(
      ({ status }) => status,
      () => "refused",
    )
    expect(nameless).toBe("refused")
    expect(await engine.ok("ps", "-aq")).toBe("")
  } finally {
    await engine.close()
  }
}, 60_000)

/** A daemon behind `words`, until it has ended. */
async function withDaemon(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  act: (daemon: ChildProcess, said: () => string) => Promise<void>,
): Promise<void> {
  const [name = "", ...rest] = [
    ...words,
    ...program(),
    ...["daemon", "--data-root", at("data"), "--run-root", at("run")],
    ...(process.env.SLOOP_BIN === undefined ? ["--launcher", testLauncher()] : []),
  ]
  let said = ""
  const daemon = spawn(name, rest.concat("-H", "fd://"), {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  })
  for (const stream of [daemon.stdout, daemon.stderr]) stream?.on("data", (chunk: Buffer) => (said += chunk))
  const ended = new Promise<void>((resolve) => daemon.once("exit", () => resolve()))
  try {
    await act(daemon, () => said)
  } finally {
    daemon.kill("SIGTERM")
    await ended
  }
}

const activate = "/usr/bin/systemd-socket-activate"
const able = existsSync(activate)
if (!able) console.warn(`skipped: no ${activate} here (Debian package systemd)`)

test.skipIf(!able)(
  "a socket of systemd's is answered, streams with it, and nobody else inherits it",
  async () => {
    const socket = at("systemd.sock")
    await withDaemon([activate, "-l", socket], {}, async (daemon, said) => {
      await eventually("the socket is there", () => existsSync(socket))
      const docker = (stdin: string, ...words: string[]) =>
        execute(["docker", "-H", `unix://${socket}`, ...words], {
          stdin,
          env: { DOCKER_CONFIG: at("config") },
        })
      expect(await docker("", "version", "--format", "{{.Server.Version}}")).toMatchObject({ code: 0 })
      const image = join(import.meta.dirname, "..", "fixtures", "base-image.ts")
      const { baseImage } = (await import(image)) as { baseImage: string }
      expect((await docker("", "import", baseImage, "busybox")).code).toBe(0)
      // Half a megabyte there and back, ended by a half-close.
      const much = "0123456789abcdef".repeat(32_768)
      const echoed = await docker(much, "run", "--rm", "-i", "busybox", "/bin/cat")
      expect([echoed.code, echoed.stdout === much]).toEqual([0, true])
      await docker("", "run", "-d", "--name", "on", "busybox", "/bin/sleep", "100")
      // Neither the launcher nor a container holds systemd's socket.
      const inode = readFileSync("/proc/net/unix", "utf8")
        .split("\n")
        .filter((line) => line.endsWith(socket))
        .map((line) => line.trim().split(/\s+/)[6])
      const holders = readdirSync("/proc")
        .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== daemon.pid)
        .filter((pid) => {
          try {
            const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
            return links.some((link) => inode.some((one) => link === `socket:[${one}]`))
          } catch {
            return false
          }
        })
      expect(holders).toEqual([])
      expect((await docker("", "rm", "-f", "on")).code).toBe(0)
      expect(said()).toContain("fd://")
    })
    // systemd's socket stays: its next connection starts the next daemon.
    expect(existsSync(socket)).toBe(true)
  },
  60_000,
)

test("fd:// without systemd is one sentence", async () => {
  const { code, stderr } = await execute([
    ...program(),
    "daemon",
    "-H",
    "fd://",
    "--data-root",
    at("d"),
    "--run-root",
    at("r"),
  ])
  expect(code).toBe(1)
  expect(stderr.trim()).toBe(
    "sloop daemon: --host fd:// takes sockets that systemd opened, and there are none: start by the socket unit, or give another --host",
  )
})

test("--tlsverify names what it lacks", async () => {
  const lacks = await execute([...program(), "daemon", "--tlsverify", "-H", "tcp://0.0.0.0:1"])
  expect(lacks.stderr.trim()).toBe(
    "sloop daemon: --tlsverify needs --tlskey FILE: a PEM file of the server's key",
  )
  writeFileSync(at("some.key"), "")
  const gone = await execute([
    ...program(),
    "daemon",
    "--tls",
    "--tlskey",
    at("some.key"),
    "--tlscert",
    at("gone.pem"),
  ])
  expect(gone.stderr).toContain(`cannot read --tlscert ${at("gone.pem")}`)
})
