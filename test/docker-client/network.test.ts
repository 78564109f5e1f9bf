// The default bridge by the docker client: addresses, published ports, outgoing translation, names, links.
import { afterAll, expect } from "bun:test"
import { spawn, spawnSync } from "node:child_process"
import { createSocket } from "node:dgram"
import { writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { join } from "node:path"
import { eventually, execute, startEngine } from "../fixtures/engine.ts"
import { addNamespace, deleteNamespace } from "../fixtures/named-namespace.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const run = (...args: string[]) => ok("run", "--rm", ...args)

/** What a web server says; empty when it does not answer. */
const page = async (url: string): Promise<string> => {
  try {
    return await (await fetch(url, { signal: AbortSignal.timeout(2000) })).text()
  } catch {
    return ""
  }
}
const serves = (url: string, text: string) =>
  eventually(`${url} serves`, async () => (await page(url)) === text)
/** A container that serves its hostname over HTTP on port 80. */
const web = (name: string, ...flags: string[]) =>
  ok("run", "-d", "--name", name, "--hostname", name, ...flags, "busybox", "httpd", "-f", "-h", "/etc")
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

proof(
  ["run --network", "network ls", "network inspect"],
  "a container has an address on the bridge and reaches others",
  async () => {
    await web("one")
    const address = await ok("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "one")
    expect(await ok("exec", "one", "hostname", "-i")).toBe(address)
    expect(await run("--network", "bridge", "busybox", "wget", "-qO-", `http://${address}/hostname`)).toBe(
      "one",
    )
    const gateway = await ok("inspect", "-f", "{{.NetworkSettings.Gateway}}", "one")
    expect(await ok("exec", "one", "ip", "route")).toContain(`default via ${gateway}`)
    expect(await ok("exec", "one", "cat", "/etc/hosts")).toMatch(new RegExp(`^${address}\tone$`, "m"))
    expect(await ok("network", "ls", "--format", "{{.Name}} {{.Driver}}")).toBe(
      "bridge bridge\nhost host\nnone null",
    )
    expect(await ok("network", "inspect", "-f", "{{range .Containers}}{{.Name}}{{end}}", "bridge")).toBe(
      "one",
    )
    await ok("rm", "-f", "one")
  },
)

proof(
  ["run --publish", "run --publish-all", "run --expose", "port"],
  "-p: chosen, random, range, by address",
  async () => {
    const port = await freePort()
    await web("chosen", "-p", `127.0.0.1:${port}:80`)
    await serves(`http://127.0.0.1:${port}/hostname`, "chosen\n")
    expect(await ok("port", "chosen")).toBe(`80/tcp -> 127.0.0.1:${port}`)
    expect(await ok("port", "chosen", "80")).toBe(`127.0.0.1:${port}`)
    expect(await ok("ps", "--format", "{{.Ports}}")).toBe(`127.0.0.1:${port}->80/tcp`)
    const gateway = await ok("inspect", "-f", "{{.NetworkSettings.Gateway}}", "chosen")
    expect(await page(`http://${gateway}:${port}/hostname`)).toBe("")
    const taken = await docker("run", "--name", "second", "-p", `127.0.0.1:${port}:80`, "busybox", "true")
    expect(taken.code).toBe(125)
    expect(taken.stderr).toContain(`Bind for 127.0.0.1:${port} failed: port is already allocated`)
    await ok("rm", "second")
    await ok("rm", "-f", "chosen")
    await eventually("the port is free", async () => (await page(`http://127.0.0.1:${port}/`)) === "")

    await web("random", "-p", "127.0.0.1::80")
    const random = await ok("port", "random", "80/tcp")
    expect(random).toMatch(/^127\.0\.0\.1:\d+$/)
    await serves(`http://${random}/hostname`, "random\n")
    await ok("rm", "-f", "random")

    const first = await freePort()
    await web("range", "-p", `127.0.0.1:${first}-${first + 2}:80`)
    expect(await ok("port", "range", "80")).toMatch(/^127\.0\.0\.1:\d+$/)
    await ok("rm", "-f", "range")

    await web("all", "-P", "--expose", "80", "--expose", "90/udp")
    expect(await ok("port", "all")).toMatch(/80\/tcp -> 0\.0\.0\.0:\d+/)
    expect(await ok("port", "all")).toMatch(/90\/udp -> 0\.0\.0\.0:\d+/)
    const everywhere = (await ok("port", "all", "80")).split("\n")[0]?.split(":")[1]
    await serves(`http://127.0.0.1:${everywhere}/hostname`, "all\n")
    await serves(`http://${gateway}:${everywhere}/hostname`, "all\n")
    await ok("rm", "-f", "all")
  },
)

proof(["run --publish"], "a port that another program has is refused", async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const result = await docker("run", "--rm", "-p", `127.0.0.1:${port}:80`, "busybox", "true")
  expect(result.code).toBe(125)
  expect(result.stderr).toMatch(
    new RegExp(`127\\.0\\.0\\.1:${port}.*(address already in use|already allocated)`),
  )
  server.close()
  expect(await ok("ps", "-aq")).toBe("")
})

proof(["run --publish"], "-p with udp", async () => {
  const port = await freePort()
  await ok("run", "-d", "--name", "udp", "-p", `127.0.0.1:${port}:53/udp`, "busybox", "sleep", "60")
  // The image has no UDP server: one of ours runs in the container's network.
  const echo =
    "const s = require('node:dgram').createSocket('udp4').bind(53); s.on('message', (m, r) => s.send(m, r.port, r.address))"
  const pid = await ok("inspect", "-f", "{{.State.Pid}}", "udp")
  const server = spawn("nsenter", ["-t", pid, "-n", process.execPath, "-e", echo], { stdio: "ignore" })
  const socket = createSocket("udp4")
  let answer = ""
  socket.on("message", (message) => {
    answer += message.toString()
  })
  await eventually("the echo", async () => {
    socket.send("ping", port, "127.0.0.1")
    await Bun.sleep(50)
    return answer.includes("ping")
  })
  socket.close()
  server.kill("SIGKILL")
  await ok("rm", "-f", "udp")
})

proof(
  ["run --publish"],
  "containers reach published ports by the host's address, from either side",
  async () => {
    const port = await freePort()
    await web("hairpin", "-p", `${port}:80`)
    const gateway = await ok("inspect", "-f", "{{.NetworkSettings.Gateway}}", "hairpin")
    await serves(`http://127.0.0.1:${port}/hostname`, "hairpin\n")
    expect(await run("busybox", "wget", "-qO-", `http://${gateway}:${port}/hostname`)).toBe("hairpin")
    expect(await ok("exec", "hairpin", "wget", "-qO-", `http://${gateway}:${port}/hostname`)).toBe("hairpin")
    const ended = new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.end("GET /hostname HTTP/1.0\r\n\r\n"))
      socket.on("data", () => {})
      socket.once("close", () => resolve("closed"))
    })
    expect(await ended).toBe("closed")
    await ok("rm", "-f", "hairpin")
  },
)

proof(
  ["run --network", "run --publish"],
  "outgoing translation to another network, and back in by -p",
  async () => {
    const name = `q${process.pid}`
    const ip = (...words: string[]) => {
      const result = spawnSync("ip", words, { encoding: "utf8" })
      if (result.status !== 0) throw new Error(`ip ${words.join(" ")}: ${result.stderr}`)
    }
    const block = process.pid % 250
    const [here, there] = [`198.18.${block}.1`, `198.18.${block}.2`]
    addNamespace(name)
    const port = await freePort()
    const server = { stop: () => {} }
    try {
      ip("link", "add", `${name}h`, "type", "veth", "peer", "name", "eth0", "netns", name)
      ip("address", "add", `${here}/30`, "dev", `${name}h`)
      ip("link", "set", `${name}h`, "up")
      ip("-n", name, "address", "add", `${there}/30`, "dev", "eth0")
      ip("-n", name, "link", "set", "eth0", "up")
      ip("-n", name, "link", "set", "lo", "up")
      writeFileSync(
        join(work, "seen"),
        "#!/bin/sh\necho Content-Type: text/plain\necho\necho from $REMOTE_ADDR\n",
        { mode: 0o755 },
      )
      spawnSync("mkdir", ["-p", join(work, "www/cgi-bin")])
      spawnSync("mv", [join(work, "seen"), join(work, "www/cgi-bin/seen")])
      const process = spawn(
        "ip",
        ["netns", "exec", name, "busybox", "httpd", "-f", "-p", "80", "-h", join(work, "www")],
        { stdio: "ignore" },
      )
      server.stop = () => void process.kill("SIGKILL")
      const seen = `http://${there}/cgi-bin/seen`
      await eventually("the other side serves", async () => (await page(seen)).includes(here))
      // The other side has no route back: an answer proves that the source was translated.
      expect(await run("busybox", "timeout", "5", "wget", "-qO-", seen)).toContain(here)
      await web("outside", "-p", `${port}:80`)
      await serves(`http://127.0.0.1:${port}/hostname`, "outside\n")
      const back = await execute([
        "ip",
        "netns",
        "exec",
        name,
        "timeout",
        "5",
        "busybox",
        "wget",
        "-qO-",
        `http://${here}:${port}/hostname`,
      ])
      expect(back.stdout).toBe("outside\n")
      await ok("rm", "-f", "outside")
    } finally {
      server.stop()
      deleteNamespace(name)
      spawnSync("ip", ["link", "del", `${name}h`])
    }
  },
)

proof(
  ["run --add-host", "run --dns", "run --dns-search", "run --dns-option"],
  "hosts and resolv.conf",
  async () => {
    const hosts = await run(
      "--add-host",
      "db:10.1.2.3",
      "--add-host",
      "six=[::5]",
      "--add-host",
      "gate:host-gateway",
      "busybox",
      "cat",
      "/etc/hosts",
    )
    expect(hosts).toMatch(/^10\.1\.2\.3\tdb$/m)
    expect(hosts).toMatch(/^::5\tsix$/m)
    expect(hosts).toMatch(/^\d+\.\d+\.\d+\.\d+\tgate$/m)
    expect(hosts).toMatch(/^127\.0\.0\.1\tlocalhost$/m)
    const resolv = await run(
      "--dns",
      "10.9.8.7",
      "--dns",
      "10.9.8.6",
      "--dns-search",
      "example.org",
      "--dns-option",
      "ndots:3",
      "busybox",
      "cat",
      "/etc/resolv.conf",
    )
    expect(
      resolv
        .split("\n")
        .filter((line) => !line.startsWith("#") && line !== "")
        .sort(),
    ).toEqual(["nameserver 10.9.8.6", "nameserver 10.9.8.7", "options ndots:3", "search example.org"])
    const plain = await run("busybox", "cat", "/etc/resolv.conf")
    expect(plain).not.toContain("nameserver 127.")
    const wrong = await docker("run", "--rm", "--dns", "nonsense", "busybox", "true")
    expect(wrong.code).toBe(125)
  },
)

proof(["run --link"], "--link, the old way", async () => {
  await web("database", "--expose", "80", "-e", "SECRET=s")
  const script = "wget -qO- http://db/hostname; wget -qO- http://database/hostname; env | grep ^DB_ | sort"
  const lines = (await run("--name", "linked", "--link", "database:db", "busybox", "sh", "-c", script)).split(
    "\n",
  )
  expect(lines.slice(0, 2)).toEqual(["database", "database"])
  expect(lines).toContain("DB_ENV_SECRET=s")
  expect(lines).toContain("DB_NAME=/linked/db")
  expect(lines.some((line) => /^DB_PORT=tcp:\/\/\d+\.\d+\.\d+\.\d+:80$/.test(line))).toBe(true)
  expect(lines.some((line) => /^DB_PORT_80_TCP_ADDR=\d/.test(line))).toBe(true)
  await ok("rm", "-f", "database")
  const absent = await docker("run", "--rm", "--link", "nobody", "busybox", "true")
  expect(absent.code).toBe(125)
})

proof(["run --mac-address", "run --ip"], "--mac-address; --ip needs a network of one's own", async () => {
  expect(
    await run("--mac-address", "02:42:ac:11:00:99", "busybox", "cat", "/sys/class/net/eth0/address"),
  ).toBe("02:42:ac:11:00:99")
  const result = await docker("run", "--rm", "--ip", "172.17.0.77", "busybox", "true")
  expect(result.code).toBe(125)
  expect(result.stderr).toContain("user specified IP address is supported on user defined networks only")
})
