// What dockerode's users do; one function per doing, named by the first argument. Runs under Node and under Bun.
import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough, Readable } from "node:stream"
import { buffer, text } from "node:stream/consumers"
import Docker from "dockerode"
import tar from "tar-fs"

const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace("unix://", "") })
const [doing, argument] = process.argv.slice(2)
const sleeper = async (more = {}) => {
  const container = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "1000"], ...more })
  await container.start()
  return container
}
/** Both outputs of a multiplexed stream. */
const apart = async (stream) => {
  const [out, err] = [new PassThrough(), new PassThrough()]
  docker.modem.demuxStream(stream, out, err)
  stream.on("end", () => {
    out.end()
    err.end()
  })
  return Promise.all([text(out), text(err)])
}
const followed = (stream) =>
  new Promise((resolve, reject) =>
    docker.modem.followProgress(stream, (error, events) => (error ? reject(error) : resolve(events))),
  )

const doings = {
  async run() {
    assert.equal((await docker.ping()).toString(), "OK")
    assert.ok((await docker.version()).ApiVersion)
    assert.equal((await docker.info()).OSType, "linux")
    const [out, err] = [new PassThrough(), new PassThrough()]
    const [result, container] = await docker.run(
      "busybox",
      ["sh", "-c", "echo a; echo b >&2; exit 5"],
      [out, err],
      {
        Tty: false,
      },
    )
    out.end()
    err.end()
    assert.deepEqual([result.StatusCode, await text(out), await text(err)], [5, "a\n", "b\n"])
    await container.remove()
    // The exit code does not come before the output, however short the container was.
    for (let round = 0; round < 20; round++) {
      const seen = new PassThrough()
      const [, second] = await docker.run("busybox", ["echo", "tty"], seen)
      seen.end()
      assert.equal(await text(seen), "tty\r\n")
      await second.remove()
    }
    await assert.rejects(docker.getContainer("nobody").inspect(), {
      statusCode: 404,
      json: { message: "No such container: nobody" },
    })
  },
  async lifecycle() {
    const container = await sleeper({
      name: "lived",
      Labels: { a: "b" },
      HostConfig: { Memory: 64 << 20, Init: true },
    })
    assert.equal((await docker.listContainers({ filters: { label: ["a=b"] } }))[0].State, "running")
    await container.pause()
    assert.equal((await container.inspect()).State.Status, "paused")
    await container.unpause()
    await container.update({ Memory: 32 << 20, MemorySwap: 64 << 20 })
    await container.rename({ name: "renamed" })
    assert.equal((await container.inspect()).Name, "/renamed")
    assert.deepEqual((await container.top({ ps_args: "-o pid,args" })).Titles, ["PID", "COMMAND"])
    await container.resize({ h: 20, w: 80 })
    await container.restart({ t: 0 })
    const ended = container.wait({ condition: "next-exit" })
    await container.kill({ signal: "SIGTERM" })
    assert.equal((await ended).StatusCode, 143)
    await assert.rejects(container.stop(), { statusCode: 304 })
    await container.remove({ v: true })
  },
  async attach() {
    const container = await docker.createContainer({
      Image: "busybox",
      Cmd: ["sh"],
      Tty: true,
      OpenStdin: true,
    })
    const stream = await container.attach({
      stream: true,
      stdin: true,
      stdout: true,
      stderr: true,
      hijack: true,
    })
    await container.start()
    await container.resize({ h: 31, w: 77 })
    stream.write("stty size; exit 3\n")
    assert.match(await text(stream), /31 77/)
    assert.equal((await container.wait()).StatusCode, 3)
    await container.remove()
    const plain = await docker.createContainer({
      Image: "busybox",
      Cmd: ["cat"],
      OpenStdin: true,
      StdinOnce: true,
    })
    const pipe = await plain.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true })
    await plain.start()
    pipe.end("a line\n")
    assert.deepEqual(await apart(pipe), ["a line\n", ""])
    await plain.remove({ force: true })
  },
  async execs() {
    const container = await sleeper()
    const run = async (options, stdin) => {
      const exec = await container.exec({ AttachStdout: true, AttachStderr: true, ...options })
      const stream = await exec.start({ hijack: true, stdin: stdin !== undefined, Tty: options.Tty ?? false })
      if (stdin !== undefined) stream.end(stdin)
      const output = options.Tty ? await text(stream) : await apart(stream)
      return [output, (await exec.inspect()).ExitCode]
    }
    assert.deepEqual(await run({ Cmd: ["sh", "-c", "echo a; echo b >&2; exit 6"] }), [["a\n", "b\n"], 6])
    assert.deepEqual(await run({ Cmd: ["cat"], AttachStdin: true }, "given"), [["given", ""], 0])
    assert.deepEqual(await run({ Cmd: ["tty"], Tty: true }), ["/dev/pts/0\r\n", 0])
    const other = { Cmd: ["sh", "-c", "echo $A $PWD $(id -u)"], Env: ["A=b"], WorkingDir: "/tmp", User: "33" }
    assert.deepEqual(await run(other), [["b /tmp 33\n", ""], 0])
    await container.remove({ force: true })
  },
  async logs() {
    const Cmd = ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done; echo end >&2"]
    const container = await docker.createContainer({ Image: "busybox", Cmd })
    await container.start()
    assert.deepEqual(await apart(await container.logs({ follow: true, stdout: true, stderr: true })), [
      "1\n2\n3\n",
      "end\n",
    ])
    const last = await container.logs({ stdout: true, stderr: true, tail: 1, timestamps: true })
    assert.match(last.subarray(8).toString(), /^20\S+Z end\n$/)
    await container.remove()
  },
  async stats() {
    const container = await sleeper()
    const reading = await container.stats({ stream: false })
    assert.ok(reading.memory_stats.usage > 0 && reading.precpu_stats.cpu_usage.total_usage > 0)
    const quick = await container.stats({ stream: false, "one-shot": true })
    assert.equal(quick.precpu_stats.cpu_usage.total_usage, 0)
    const stream = await container.stats({ stream: true })
    const [line] = await once(stream, "data")
    assert.equal(JSON.parse(line).id, container.id)
    stream.destroy()
    await container.remove({ force: true })
  },
  async events() {
    const since = Math.floor(Date.now() / 1000)
    const stream = await docker.getEvents({ filters: { label: ["seen=yes"] } })
    const actions = []
    const enough = new Promise((resolve) =>
      stream.on("data", (chunk) => {
        for (const line of chunk.toString().split("\n").filter(Boolean)) actions.push(JSON.parse(line).Action)
        if (actions.includes("destroy")) resolve()
      }),
    )
    const container = await docker.createContainer({
      Image: "busybox",
      Cmd: ["true"],
      Labels: { seen: "yes" },
    })
    await container.start()
    await container.wait()
    await container.remove()
    await enough
    stream.destroy()
    assert.deepEqual(actions, ["create", "start", "die", "destroy"])
    const until = Math.floor(Date.now() / 1000) + 1
    const past = await text(
      await docker.getEvents({ since, until, filters: { event: ["die"], label: ["seen=yes"] } }),
    )
    assert.deepEqual(
      past
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).Actor.Attributes.exitCode),
      ["0"],
    )
  },
  async archives() {
    const directory = mkdtempSync(join(tmpdir(), "sloop-tar-"))
    writeFileSync(join(directory, "file"), "x".repeat(200_000))
    const container = await sleeper()
    await container.putArchive(tar.pack(directory), { path: "/tmp" })
    const stat = await container.infoArchive({ path: "/tmp/file" })
    stat.resume()
    const header = JSON.parse(
      Buffer.from(stat.headers?.["x-docker-container-path-stat"] ?? "e30=", "base64").toString(),
    )
    assert.deepEqual([header.name, header.size], ["file", 200_000])
    const back = await buffer(await container.getArchive({ path: "/tmp/file" }))
    assert.equal(back.subarray(512, 514).toString(), "xx")
    assert.ok((await buffer(await container.export())).length > 200_000)
    assert.deepEqual((await container.changes()).map(({ Path }) => Path).sort(), ["/tmp", "/tmp/file"])
    await assert.rejects(container.putArchive(Readable.from(["no tar"]), { path: "/nowhere" }), {
      statusCode: 404,
    })
    rmSync(directory, { recursive: true })
    await container.remove({ force: true })
  },
  async images() {
    const name = `${argument}/node/box`
    await docker.getImage("busybox").tag({ repo: name, tag: "1" })
    const pushed = await followed(
      await docker.getImage(`${name}:1`).push({ authconfig: { username: "", password: "" } }),
    )
    assert.ok(pushed.some((event) => event.aux?.Digest?.startsWith("sha256:")))
    await docker.getImage(`${name}:1`).remove()
    const pulled = await followed(await docker.pull(`${name}:1`))
    assert.ok(pulled.some(({ status }) => status?.startsWith("Status: ")))
    assert.ok((await docker.getImage(`${name}:1`).inspect()).RepoTags.includes(`${name}:1`))
    assert.ok((await docker.getImage(`${name}:1`).history()).length > 0)
    const distribution = await docker.getImage(`${name}:1`).distribution()
    assert.match(distribution.Descriptor.digest, /^sha256:/)
    const archive = await buffer(await docker.getImage(`${name}:1`).get())
    await docker.getImage(`${name}:1`).remove()
    assert.match(await text(await docker.loadImage(Readable.from([archive]))), /Loaded image: /)
    const container = await docker.createContainer({ Image: `${name}:1`, Cmd: ["true"] })
    const made = await container.commit({ repo: "node-made", tag: "1", changes: "ENV A=b" })
    assert.match(made.Id, /^sha256:/)
    await container.remove()
    await docker.getImage("node-made:1").remove()
    await docker.getImage(`${name}:1`).remove()
    await assert.rejects(
      docker.pull(`${argument}/no/such:1`).then(followed),
      /not found|manifest unknown|denied|not exist/,
    )
    assert.ok((await docker.listImages()).some(({ RepoTags }) => RepoTags.includes("busybox:latest")))
    assert.ok((await docker.df()).Images.length > 0)
  },
  async builds() {
    const directory = mkdtempSync(join(tmpdir(), "dockerode-build-"))
    writeFileSync(join(directory, "Dockerfile"), "FROM busybox\nARG A\nRUN echo $A\nCOPY kept /kept\n")
    writeFileSync(join(directory, "kept"), "kept")
    const lines = await followed(
      await docker.buildImage(
        { context: directory, src: ["Dockerfile", "kept"] },
        { t: "node-built:1", buildargs: { A: "given" }, labels: { a: "b" }, nocache: true },
      ),
    )
    const told = lines.map(({ stream }) => stream ?? "").join("")
    assert.match(told, /Step 3\/5 : RUN echo \$A\n(.*\n)?.*given\n/)
    assert.match(told, /Successfully tagged node-built:1\n$/)
    const { Id, Config } = await docker.getImage("node-built:1").inspect()
    assert.equal(lines.find(({ aux }) => aux).aux.ID, Id)
    assert.deepEqual(Config.Labels, { a: "b" })
    writeFileSync(join(directory, "Dockerfile"), "FROM busybox\nRUN exit 4\n")
    const failed = await followed(await docker.buildImage(tar.pack(directory), { t: "never" }))
    assert.match(failed.at(-1).error, /returned a non-zero code: 4/)
    writeFileSync(join(directory, "Dockerfile"), "FOO\n")
    await assert.rejects(docker.buildImage(tar.pack(directory)), { statusCode: 400 })
    assert.ok((await docker.pruneBuilder()).SpaceReclaimed >= 0)
    rmSync(directory, { recursive: true })
  },
  async volumes() {
    const volume = await docker.createVolume({ Name: `node-data-${process.pid}`, Labels: { a: "b" } })
    assert.equal((await volume.inspect()).Driver, "local")
    assert.equal((await docker.listVolumes({ filters: { label: ["a=b"] } })).Volumes.length, 1)
    const container = await docker.createContainer({
      Image: "busybox",
      Cmd: ["sh", "-c", "echo kept > /data/x"],
      HostConfig: { Binds: [`${volume.name}:/data`], AutoRemove: true },
    })
    await container.start()
    await container.wait({ condition: "removed" }).catch(() => {})
    await volume.remove()
  },
  async networks() {
    const network = await docker.createNetwork({ Name: "node-net", Labels: { a: "b" } })
    const server = await sleeper({
      name: "node-server",
      Cmd: ["httpd", "-f", "-h", "/etc"],
      Hostname: "served",
      ExposedPorts: { "80/tcp": {} },
      HostConfig: {
        NetworkMode: "node-net",
        PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] },
      },
    })
    const { Ports } = (await server.inspect()).NetworkSettings
    const answer = await fetch(`http://127.0.0.1:${Ports["80/tcp"][0].HostPort}/hostname`)
    assert.equal(await answer.text(), "served\n")
    const other = await sleeper()
    await network.connect({ Container: other.id, EndpointConfig: { Aliases: ["alias"] } })
    assert.equal(Object.keys((await network.inspect()).Containers).length, 2)
    await network.disconnect({ Container: other.id, Force: true })
    await server.remove({ force: true })
    await other.remove({ force: true })
    assert.deepEqual((await docker.listNetworks({ filters: { name: ["node-net"] } })).length, 1)
    await network.remove()
  },
  async prunes() {
    const container = await docker.createContainer({ Image: "busybox", Cmd: ["true"], Labels: { old: "1" } })
    await docker.createVolume({ Labels: { old: "1" } })
    await docker.createNetwork({ Name: "node-old", Labels: { old: "1" } })
    const filters = { label: ["old=1"] }
    assert.deepEqual((await docker.pruneContainers({ filters })).ContainersDeleted, [container.id])
    assert.equal((await docker.pruneVolumes({ filters })).VolumesDeleted.length, 1)
    assert.deepEqual((await docker.pruneNetworks({ filters })).NetworksDeleted, ["node-old"])
    // What a build took its name from goes first.
    const dangling = { filters: { dangling: ["true"] } }
    assert.ok((await docker.pruneImages(dangling)).SpaceReclaimed >= 0)
    assert.equal((await docker.pruneImages(dangling)).SpaceReclaimed, 0)
  },
}

await doings[doing]()
console.log("done")
