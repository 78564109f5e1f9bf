// More verbs on the real kernel: files, volumes, health, limits, top, stats, commit, filters, streams in bulk.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type TarSource, writeTar } from "../../src/base/tar-writer.ts"
import { gather } from "../fixtures/busybox-image.ts"
import { busybox, type Ground, openGround, run, until } from "./ground.ts"

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
}, 60_000)
afterAll(async () => {
  await ground.close()
}, 60_000)

const remove = (id: string): Promise<void> =>
  ground.engine.containers.remove(id, { force: true, volumes: true })

async function* tarOf(entries: readonly TarSource[]): AsyncGenerator<Uint8Array> {
  yield await gather(writeTar(entries))
}

test("volumes: named and shared, anonymous and gone with the container, binds, tmpfs, read-only", async () => {
  const { engine, root } = ground
  const host = join(root, "host")
  mkdirSync(host)
  writeFileSync(join(host, "f"), "from the host\n")
  const first = await run(
    engine,
    busybox(
      [
        "sh",
        "-c",
        "cat /bind/f; echo kept > /named/f; echo x > /ro/f; grep -c ' /ram tmpfs' /proc/mounts; ls /made",
      ],
      {
        mounts: [
          { type: "bind", source: host, target: "/bind", readOnly: false, origin: "binds" },
          { type: "bind", source: host, target: "/ro", readOnly: true, origin: "binds" },
          {
            type: "bind",
            source: join(root, "made"),
            target: "/made",
            readOnly: false,
            createSource: true,
            origin: "binds",
          },
          { type: "volume", source: "named", target: "/named", readOnly: false, origin: "binds" },
          { type: "tmpfs", target: "/ram", readOnly: false, tmpfsOptions: ["size=1m"], origin: "tmpfs" },
        ],
        volumes: ["/anonymous"],
      },
    ),
  )
  expect(first.stdout).toBe("from the host\n1\n")
  expect(first.stderr).toContain("Read-only file system")
  expect(existsSync(join(root, "made"))).toBe(true)
  expect(engine.volumes.list().length).toBe(2)
  await expect(engine.removeVolume("named", { force: false })).rejects.toThrow(
    `remove named: volume is in use - [${first.id}]`,
  )
  const second = await run(engine, busybox(["cat", "/named/f"], { volumesFrom: [`${first.id}:ro`] }))
  expect(second.stdout).toBe("kept\n")
  await remove(second.id)
  await remove(first.id)
  expect(engine.volumes.list().map((volume) => volume.name)).toEqual(["named"])
  await engine.removeVolume("named", { force: false })
  await expect(
    engine.containers.create({
      config: busybox(["true"], {
        mounts: [{ type: "bind", source: "/no/such", target: "/x", readOnly: false, origin: "mounts" }],
      }),
    }),
  ).rejects.toThrow('invalid mount config for type "bind": bind source path does not exist: /no/such')
})

test("an anonymous volume starts with what the image has there", async () => {
  const { stdout, id } = await run(
    ground.engine,
    busybox(["sh", "-c", "ls -d /etc/passwd; stat -c %a /etc"], { volumes: ["/etc"] }),
  )
  expect(stdout).toBe("/etc/passwd\n755\n")
  await remove(id)
})

test("files go in and out of running and stopped containers", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({ config: busybox(["sleep", "100"], { volumes: ["/vol"] }) })
  for (const state of ["created", "running"]) {
    if (state === "running") await containers.start(id)
    expect(containers.get(id).status).toBe(state as "created" | "running")
    for (const path of ["/tmp", "/vol"]) {
      const body = Buffer.from(`${state} ${path}`)
      await containers.archivePut(id, path, tarOf([{ name: "given", type: "file", mode: 0o640, body }]), {
        noOverwriteDirNonDir: false,
        copyOwners: false,
      })
      const stat = await containers.archiveStat(id, `${path}/given`)
      expect(stat).toMatchObject({ name: "given", size: body.length })
      expect(stat.mode & 0o777).toBe(0o640)
      const { tar } = await containers.archiveGet(id, `${path}/given`)
      const bytes = Buffer.from(await gather(tar))
      expect(bytes.subarray(0, 5).toString()).toBe("given")
      expect(bytes.includes(body)).toBe(true)
    }
    await expect(containers.archiveStat(id, "/no/such")).rejects.toThrow(
      `Could not find the file /no/such in container ${id}`,
    )
    await expect(
      containers.archivePut(id, "/etc/passwd", tarOf([]), { noOverwriteDirNonDir: false, copyOwners: false }),
    ).rejects.toThrow()
  }
  const changes = await containers.changes(id)
  expect(changes).toContainEqual({ kind: 1, path: "/tmp/given" })
  expect(changes).toContainEqual({ kind: 0, path: "/tmp" })
  expect((await containers.sizes(id)).writable).toBeGreaterThan(0)
  await remove(id)
})

test("what a start needs to mount over lies beneath the container's layer", async () => {
  const { engine } = ground
  const silent = await run(
    engine,
    busybox(["sh", "-c", "test -f /.dockerenv && test /etc/mtab -ef /proc/mounts && echo furnished"]),
  )
  expect(silent.stdout).toBe("furnished\n")
  expect(await engine.containers.changes(silent.id)).toEqual([])
  const writer = await run(engine, busybox(["sh", "-c", "echo mine > /etc/mine"]))
  expect(await engine.containers.changes(writer.id)).toEqual([
    { kind: 0, path: "/etc" },
    { kind: 1, path: "/etc/mine" },
  ])
  for (const { id } of [silent, writer]) await remove(id)
})

test("a read-only root takes no files but still exports", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({ config: busybox(["true"], { readOnlyRoot: true }) })
  await expect(
    containers.archivePut(id, "/tmp", tarOf([]), { noOverwriteDirNonDir: false, copyOwners: false }),
  ).rejects.toThrow("container rootfs is marked read-only")
  let bytes = 0
  for await (const chunk of containers.export(id)) bytes += chunk.length
  expect(bytes).toBeGreaterThan(1 << 20)
  await remove(id)
})

test("health: starting, healthy, unhealthy, and its events", async () => {
  const { containers, events } = ground.engine
  const { id } = await containers.create({
    config: busybox(["sleep", "100"], {
      healthcheck: {
        test: ["CMD-SHELL", "echo probed; test ! -e /tmp/ill"],
        interval: 50,
        retries: 2,
        timeout: 2000,
      },
    }),
  })
  await containers.start(id)
  expect(containers.get(id).health?.status).toBe("starting")
  await until(() => containers.get(id).health?.status === "healthy")
  expect(containers.get(id).health?.log[0]).toMatchObject({ exitCode: 0, output: "probed\n" })
  await run(
    ground.engine,
    busybox(["touch", "/proc/1/root/tmp/ill"], {
      pidMode: `container:${id}`,
      autoRemove: true,
      privileged: true,
    }),
  )
  await until(() => containers.get(id).health?.status === "unhealthy")
  const actions = events
    .recent()
    .filter((event) => event.id === id && event.action.startsWith("health_status"))
  expect(actions.map((event) => event.action)).toEqual(["health_status: healthy", "health_status: unhealthy"])
  await remove(id)
})

test("top, stats and update look at and change the live container", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({
    config: busybox(["sleep", "100"], { networkMode: "default", resources: { memory: 64 << 20, pids: 50 } }),
  })
  await containers.start(id)
  const top = await containers.top(id, "")
  expect(top.titles).toContain("PID")
  expect(top.processes.map((fields) => fields.at(-1))).toEqual(["sleep 100"])
  await expect(containers.top(id, "-o comm")).rejects.toThrow("Couldn't find PID field in ps output")
  const stats = await containers.stats(id)
  expect(stats.memoryLimit).toBe(64 << 20)
  expect(stats.pids).toBe(1)
  expect(stats.networks.map((network) => network.name)).toEqual(["eth0"])
  await containers.update(id, {
    resources: { memory: 32 << 20, memorySwap: 64 << 20 },
    restart: { name: "always", maximumRetries: 0 },
  })
  expect((await containers.stats(id)).memoryLimit).toBe(32 << 20)
  expect(containers.get(id).config).toMatchObject({ restart: { name: "always" }, resources: { pids: 50 } })
  await containers.stop(id, { timeout: 0 })
  expect(containers.get(id).status).toBe("exited")
  await expect(containers.top(id, "")).rejects.toThrow("is not running")
  await remove(id)
})

test("what a container wrote becomes an image", async () => {
  const { engine } = ground
  const { id } = await run(engine, busybox(["sh", "-c", "echo mine > /tmp/f"], { env: ["A=1"] }))
  const imageId = await engine.containers.commit(id, {
    reference: "mine:1",
    pause: true,
    changes: ['CMD ["cat", "/tmp/f"]', "LABEL k=v"],
  })
  const image = await engine.images.get("mine:1")
  expect(image.id).toBe(imageId)
  expect(image.config).toMatchObject({ labels: { k: "v" }, command: ["cat", "/tmp/f"] })
  const result = await run(engine, { image: "mine:1", networkMode: "none" })
  expect(result.stdout).toBe("mine\n")
  await expect(engine.removeImage("mine:1", { force: false, prune: true })).rejects.toThrow(/conflict/)
  await remove(result.id)
  await engine.removeImage("mine:1", { force: false, prune: true })
  await remove(id)
})

test("filters", async () => {
  const { containers } = ground.engine
  const { id: first } = await containers.create({
    name: "alpha",
    config: busybox(["true"], { labels: { tier: "web" } }),
  })
  const { id: second } = await containers.create({
    name: "beta",
    config: busybox(["sleep", "100"], { exposedPorts: ["80/tcp"], networkMode: "default" }),
  })
  await containers.start(second)
  const ids = async (filters: Readonly<Record<string, readonly string[]>>, all = true) =>
    (await containers.list({ all, filters: new Map(Object.entries(filters)) })).map((record) => record.id)
  expect(await ids({})).toEqual([second, first])
  expect(await ids({}, false)).toEqual([second])
  expect(await ids({ name: ["alph"] })).toEqual([first])
  expect(await ids({ name: ["^/beta$"] })).toEqual([second])
  expect(await ids({ label: ["tier=web"] })).toEqual([first])
  expect(await ids({ label: ["tier", "none"] })).toEqual([])
  expect(await ids({ status: ["running"] })).toEqual([second])
  expect(await ids({ status: ["created", "running"] })).toEqual([second, first])
  expect(await ids({ ancestor: ["busybox"] })).toEqual([second, first])
  expect(await ids({ before: ["beta"] })).toEqual([first])
  expect(await ids({ since: ["alpha"] })).toEqual([second])
  expect(await ids({ network: ["bridge"] })).toEqual([second])
  expect(await ids({ expose: ["80"] })).toEqual([second])
  await expect(ids({ color: ["red"] })).rejects.toThrow("invalid filter 'color'")
  await expect(ids({ status: ["asleep"] })).rejects.toThrow("invalid filter 'status=asleep'")
  expect((await containers.prune({ labels: ["tier=web"] })).removed).toEqual([first])
  await remove(second)
})

test("200 MB of output flow through at speed, and a stalled reader stops the writer", async () => {
  const { containers } = ground.engine
  const size = 200_000_000
  const { id } = await containers.create({
    config: busybox(["sh", "-c", `head -c ${size} /dev/zero`], { logDriver: "none", autoRemove: true }),
  })
  const { stream } = await containers.attach(id, {
    stdin: false,
    stdout: true,
    stderr: true,
    logs: false,
    stream: true,
  })
  await containers.start(id)
  await Bun.sleep(200)
  // Nobody reads: neither the engine nor the process may have gone on for ever.
  expect(stream.readableLength).toBeLessThan(4 << 20)
  expect(containers.find(id)?.status).toBe("running")
  let bytes = 0
  const start = performance.now()
  for await (const chunk of stream) bytes += chunk.length
  expect(bytes).toBeGreaterThan(size)
  expect(performance.now() - start).toBeLessThan(10_000)
})

test("a follower of the log sees all of it and ends with the container", async () => {
  const { containers } = ground.engine
  const { id } = await containers.create({
    config: busybox(["sh", "-c", "for i in $(seq 1 2000); do echo line $i; done; sleep 0.2; echo last"], {
      logOptions: { "max-size": "20k", "max-file": "50" },
    }),
  })
  await containers.start(id)
  const lines: string[] = []
  for await (const together of containers.logs(id, { stdout: true, stderr: true, follow: true })) {
    lines.push(...together.map(({ line }) => Buffer.from(line).toString().trimEnd()))
  }
  expect(lines).toEqual([...Array.from({ length: 2000 }, (_, index) => `line ${index + 1}`), "last"])
  await remove(id)
})

test("managed files are the user's own where he mounts them", async () => {
  const { engine, root } = ground
  const hosts = join(root, "hosts")
  writeFileSync(hosts, "10.0.0.1 mine\n")
  const { id, stdout } = await run(
    engine,
    busybox(["sh", "-c", "cat /etc/hosts; cat /etc/hostname"], {
      networkMode: "default",
      hostname: "me",
      mounts: [{ type: "bind", source: hosts, target: "/etc/hosts", readOnly: true, origin: "binds" }],
    }),
  )
  expect(stdout).toBe("10.0.0.1 mine\nme\n")
  expect(readFileSync(hosts, "utf8")).toBe("10.0.0.1 mine\n")
  await remove(id)
})
