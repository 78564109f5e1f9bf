// The calls of job runners and of clients that watch; one function per client, named by the first argument.
import assert from "node:assert/strict"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { buffer, text } from "node:stream/consumers"
import Docker from "dockerode"
import tar from "tar-fs"

const socketPath = process.env.DOCKER_HOST.replace("unix://", "")
const docker = new Docker({ socketPath })
const [doing, work] = process.argv.slice(2)

const exec = async (container, Cmd, more = {}) => {
  const made = await container.exec({ Cmd, AttachStdout: true, AttachStderr: true, Tty: true, ...more })
  const stream = await made.start({ hijack: true, Tty: true })
  const output = await text(stream)
  return [output.replaceAll("\r\n", "\n"), (await made.inspect()).ExitCode]
}
const json = (text) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))

const doings = {
  async job() {
    const checkout = join(work, "checkout")
    mkdirSync(checkout)
    writeFileSync(
      join(checkout, "build.sh"),
      "#!/bin/sh\necho building in $PWD for $TARGET\necho result > out\n",
      { mode: 0o755 },
    )
    await docker.createVolume({ Name: "job-tools" })
    const container = await docker.createContainer({
      name: "act-build",
      Image: "busybox",
      Tty: true,
      Entrypoint: ["tail", "-f", "/dev/null"],
      WorkingDir: "/work",
      Env: ["CI=true"],
      HostConfig: {
        Binds: [`${checkout}:/work`, "job-tools:/opt/tools"],
        NetworkMode: "host",
        Privileged: false,
        AutoRemove: true,
      },
    })
    await container.start()
    await container.putArchive(tar.pack(checkout), { path: "/opt/tools" })
    const step = { WorkingDir: "/work", Env: ["TARGET=linux", "GITHUB_ENV=/tmp/env"] }
    assert.deepEqual(await exec(container, ["./build.sh"], step), ["building in /work for linux\n", 0])
    assert.deepEqual(await exec(container, ["sh", "-ec", "echo A=b >> $GITHUB_ENV; exit 2"], step), ["", 2])
    assert.deepEqual(await exec(container, ["cat", "/tmp/env"], step), ["A=b\n", 0])
    assert.deepEqual(await exec(container, ["sh", "-c", "echo $CI $(id -u)"], { User: "1000:1000" }), [
      "true 1000\n",
      0,
    ])
    assert.equal(readFileSync(join(checkout, "out"), "utf8"), "result\n")
    const archive = await buffer(await container.getArchive({ path: "/tmp/env" }))
    assert.ok(archive.includes("A=b\n"))
    const follow = await container.logs({ follow: true, stdout: true, stderr: true })
    const followed = buffer(follow)
    const removed = container.wait({ condition: "removed" })
    await container.remove({ force: true, v: true })
    await removed
    assert.equal((await followed).length, 0)
    await assert.rejects(container.inspect(), { statusCode: 404 })
    await docker.getVolume("job-tools").remove({ force: true })
  },
  async services() {
    const network = await docker.createNetwork({ Name: "act-network", CheckDuplicate: true })
    const make = async (name, Cmd, aliases) => {
      const EndpointsConfig = { "act-network": { Aliases: aliases } }
      const container = await docker.createContainer({
        name,
        Image: "busybox",
        Cmd,
        Hostname: name,
        HostConfig: { NetworkMode: "act-network" },
        NetworkingConfig: { EndpointsConfig },
      })
      await container.start()
      return container
    }
    const database = await make("act-service", ["httpd", "-f", "-h", "/etc"], ["database"])
    const job = await make("act-job", ["tail", "-f", "/dev/null"], ["job"])
    assert.deepEqual(await exec(job, ["wget", "-qO-", "http://database/hostname"]), ["act-service\n", 0])
    const running = await job.exec({ Cmd: ["sleep", "1000"], AttachStdout: true, Tty: true })
    const stream = await running.start({ hijack: true, Tty: true })
    stream.on("error", () => {})
    while (!(await running.inspect()).Running) await new Promise((resolve) => setTimeout(resolve, 20))
    const ended = new Promise((resolve) => stream.on("end", resolve).on("close", resolve).resume())
    await Promise.all([database, job].map((container) => container.remove({ force: true, v: true })))
    await ended
    await network.remove()
  },
  async watch() {
    const containers = []
    const events = await docker.getEvents({})
    const heard = []
    events.on("data", (chunk) => heard.push(...json(chunk.toString())))
    const Cmd = ["sh", "-c", "while :; do echo tick; sleep 0.2; done"]
    for (let each = 0; each < 5; each++) {
      const container = await docker.createContainer({ name: `seen-${each}`, Image: "busybox", Cmd })
      await container.start()
      containers.push(container)
    }
    const list = await docker.listContainers({ all: true, size: true })
    assert.equal(list.length, 5)
    assert.ok(
      list.every(
        ({ SizeRootFs, State, NetworkSettings }) => SizeRootFs > 0 && State === "running" && NetworkSettings,
      ),
    )
    const readings = await Promise.all(
      containers.map(async (container) => {
        const stream = await container.stats({ stream: true })
        const seen = []
        for await (const chunk of stream) {
          seen.push(...json(chunk.toString()))
          if (seen.length === 3) break
        }
        stream.destroy()
        return seen
      }),
    )
    for (const seen of readings) {
      const [, second, third] = seen
      assert.ok(third.cpu_stats.cpu_usage.total_usage >= second.cpu_stats.cpu_usage.total_usage)
      assert.equal(third.preread, second.read)
      assert.ok(third.memory_stats.limit > 0 && third.pids_stats.current > 0)
    }
    const [first] = containers
    const follow = await first.logs({ follow: true, stdout: true, stderr: true, tail: 10, timestamps: true })
    for await (const chunk of follow) {
      assert.match(chunk.subarray(8).toString(), /^20\S+ tick/)
      break
    }
    assert.ok((await first.top()).Processes.length > 0)
    await Promise.all(containers.map((container) => container.remove({ force: true })))
    while (heard.filter(({ Action }) => Action === "destroy").length < 5)
      await new Promise((resolve) => setTimeout(resolve, 20))
    events.destroy()
    const { Type, Action, Actor, timeNano } = heard.find((event) => event.Action === "start")
    assert.deepEqual(
      [Type, Action, Actor.Attributes.image, Actor.Attributes.name],
      ["container", "start", "busybox", "seen-0"],
    )
    assert.ok(timeNano > 0)
  },
  async editor() {
    const old = new Docker({ socketPath, version: "v1.41" })
    assert.ok(Number((await old.version()).MinAPIVersion) <= 1.41)
    assert.ok((await old.info()).ServerVersion)
    const container = await old.createContainer({
      Image: "busybox",
      Cmd: ["sh"],
      Tty: true,
      OpenStdin: true,
      Labels: { "com.microsoft.created-by": "editor" },
    })
    await container.start()
    const listed = await old.listContainers({ all: true, filters: { label: ["com.microsoft.created-by"] } })
    assert.deepEqual([listed.length, listed[0].Image, listed[0].Command], [1, "busybox", "sh"])
    const shell = await container.exec({
      Cmd: ["sh"],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
    })
    const stream = await shell.start({ hijack: true, stdin: true, Tty: true })
    await shell.resize({ h: 40, w: 120 })
    stream.write("stty size; exit\n")
    assert.match(await text(stream), /40 120/)
    assert.deepEqual(await exec(container, ["find", "/etc", "-maxdepth", "1", "-name", "passwd"]), [
      "/etc/passwd\n",
      0,
    ])
    const image = await old.getImage("busybox").inspect()
    assert.ok(image.RootFS.Layers.length > 0 && image.Size > 0)
    assert.ok((await old.listNetworks()).some(({ Name }) => Name === "bridge"))
    assert.ok(Array.isArray((await old.listVolumes()).Volumes))
    await container.stop({ t: 0 })
    await container.remove({ force: true, v: true })
  },
}

await doings[doing]()
console.log("done")
