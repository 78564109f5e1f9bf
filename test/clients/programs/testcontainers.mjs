// What testcontainers' users do; one function per doing, named by the first argument.
import assert from "node:assert/strict"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { GenericContainer, Network, Wait } from "testcontainers"

const [doing, argument] = process.argv.slice(2)
const box = (...command) => new GenericContainer("busybox:latest").withCommand(command)
const web = () => box("httpd", "-f", "-h", "/etc", "-p", "80").withExposedPorts(80)
const page = async (container, path) => {
  const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}/${path}`)
  return answer.text()
}

const doings = {
  async builds() {
    const directory = mkdtempSync(join(tmpdir(), "built-"))
    writeFileSync(join(directory, "Dockerfile"), "FROM busybox\nARG A\nRUN echo $A > /a\nCMD sleep 1000\n")
    const image = await GenericContainer.fromDockerfile(directory).withBuildArgs({ A: "given" }).build()
    const container = await image.start()
    assert.equal((await container.exec(["cat", "/a"])).stdout, "given\n")
    await container.stop()
  },
  async start() {
    const container = await web().withEnvironment({ A: "b" }).withLabels({ mine: "yes" }).start()
    assert.match(await page(container, "passwd"), /^root:/)
    assert.deepEqual(container.getLabels().mine, "yes")
    assert.match(container.getIpAddress("bridge"), /^\d+\./)
    const result = await container.exec(["sh", "-c", "echo $A; echo wrong >&2; exit 3"], {
      workingDir: "/tmp",
      user: "33",
    })
    assert.deepEqual([result.exitCode, result.stdout, result.stderr], [3, "b\n", "wrong\n"])
    const port = container.getMappedPort(80)
    await container.restart({ timeout: 0 })
    assert.match(await page(container, "passwd"), /^root:/)
    assert.ok(port > 0 && container.getMappedPort(80) > 0)
    await container.stop()
  },
  async waits() {
    const slow = (line) => ["sh", "-c", `sleep 0.3; ${line}; sleep 1000`]
    const started = await Promise.all([
      box(...slow("echo here; echo here"))
        .withWaitStrategy(Wait.forLogMessage(/here/, 2))
        .start(),
      box("sh", "-c", "sleep 0.3; exec httpd -f -h /etc")
        .withExposedPorts(80)
        .withWaitStrategy(Wait.forListeningPorts())
        .start(),
      web()
        .withWaitStrategy(
          Wait.forHttp("/passwd", 80)
            .forStatusCode(200)
            .forResponsePredicate((body) => body.startsWith("root")),
        )
        .start(),
      box(...slow("touch /tmp/up"))
        .withHealthCheck({
          test: ["CMD-SHELL", "test -e /tmp/up"],
          interval: 100,
          timeout: 1000,
          retries: 30,
          startPeriod: 0,
        })
        .withWaitStrategy(Wait.forHealthCheck())
        .start(),
      box(...slow("touch /tmp/up"))
        .withWaitStrategy(Wait.forSuccessfulCommand("test -e /tmp/up"))
        .start(),
      box("sh", "-c", "sleep 0.3; exit 0").withWaitStrategy(Wait.forOneShotStartup()).start(),
      web()
        .withWaitStrategy(Wait.forAll([Wait.forListeningPorts(), Wait.forHttp("/group", 80)]))
        .start(),
    ])
    await assert.rejects(
      box("sh", "-c", "exit 4").withWaitStrategy(Wait.forOneShotStartup()).start(),
      /failed to start/,
    )
    await assert.rejects(
      box("sleep", "1000").withWaitStrategy(Wait.forLogMessage("never")).withStartupTimeout(500).start(),
      /not received after 500ms/,
    )
    await Promise.all(started.map((container) => container.stop()))
  },
  async networks() {
    const network = await new Network().start()
    const server = await web()
      .withNetwork(network)
      .withNetworkAliases("store", "shop")
      .withHostname("served")
      .start()
    const client = await box("sleep", "1000")
      .withNetwork(network)
      .withExtraHosts([{ host: "far", ipAddress: "192.0.2.1" }])
      .start()
    for (const name of ["store", "shop"]) {
      const { output } = await client.exec(["wget", "-qO-", `http://${name}/hostname`])
      assert.equal(output, "served\n")
    }
    assert.match((await client.exec(["cat", "/etc/hosts"])).output, /192\.0\.2\.1\s+far/)
    assert.equal(server.getNetworkNames().includes(network.getName()), true)
    await client.stop()
    await server.stop()
    await network.stop()
  },
  async copies() {
    const directory = mkdtempSync(join(tmpdir(), "sloop-tc-"))
    writeFileSync(join(directory, "file"), "from a file")
    const container = await box("sh", "-c", "cat /in/content; echo; sleep 1000")
      .withCopyContentToContainer([{ content: "given before", target: "/in/content", mode: 0o640 }])
      .withCopyFilesToContainer([{ source: join(directory, "file"), target: "/in/file" }])
      .withCopyDirectoriesToContainer([{ source: directory, target: "/in/dir" }])
      .withTmpFs({ "/scratch": "rw,size=1m" })
      .withWaitStrategy(Wait.forLogMessage("given before"))
      .start()
    assert.equal((await container.exec(["cat", "/in/file", "/in/dir/file"])).output, "from a filefrom a file")
    assert.equal((await container.exec(["stat", "-c", "%a", "/in/content"])).output, "640\n")
    await container.copyContentToContainer([{ content: "later", target: "/tmp/later" }])
    assert.equal((await container.exec("cat /tmp/later")).output, "later")
    assert.match(await text(await container.copyArchiveFromContainer("/tmp/later")), /later/)
    const committed = await container.commit({ repo: "tc-made", tag: "1" })
    assert.match(committed, /^(sha256:)?[0-9a-f]{64}$|tc-made/)
    await container.stop()
  },
  async logs() {
    const container = await box("sh", "-c", "echo one; echo two >&2; sleep 0.5; echo three").start()
    const lines = []
    const stream = await container.logs()
    await new Promise((resolve) =>
      stream.on("data", (line) => lines.push(line.toString().trim())).on("end", resolve),
    )
    assert.deepEqual(lines.sort(), ["one", "three", "two"])
    await container.stop()
  },
  async reuse() {
    const make = () => web().withName(`reused-${argument}`).withReuse().start()
    const [first, second] = [await make(), await make()]
    assert.equal(first.getId(), second.getId())
    await first.stop({ remove: false })
    const third = await make()
    assert.equal(third.getId(), first.getId())
    assert.match(await page(third, "passwd"), /^root:/)
    await third.stop()
  },
  /** Leaves a container and a network behind, for the reaper. */
  async abandon() {
    await new Network().start()
    const container = await box("sleep", "1000").withLabels({ abandoned: "yes" }).start()
    console.log(container.getId())
    process.exit(0)
  },
}

// testcontainers lets a program end although it waits for logs.
setInterval(() => {}, 60_000)
await doings[doing]()
console.log("done")
process.exit(0)
