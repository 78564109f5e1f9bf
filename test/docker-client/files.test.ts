// What docker run mounts: binds, volumes, tmpfs, devices, a read-only root, others' volumes.
import { afterAll, expect } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const run = (...args: string[]) => ok("run", "--rm", ...args)
const shell = (flags: string[], script: string) => run(...flags, "busybox", "sh", "-c", script)

proof(["run --volume"], "-v binds directories and files, writable and read-only", async () => {
  const directory = join(work, "directory")
  mkdirSync(directory)
  writeFileSync(join(directory, "in"), "from the host")
  expect(await shell(["-v", `${directory}:/d`], "cat /d/in; echo back > /d/out")).toBe("from the host")
  expect(readFileSync(join(directory, "out"), "utf8")).toBe("back\n")
  const readOnly = await docker(
    "run",
    "--rm",
    "-v",
    `${directory}:/d:ro`,
    "busybox",
    "sh",
    "-c",
    "echo x > /d/x",
  )
  expect(readOnly.code).toBe(1)
  expect(readOnly.stderr).toContain("Read-only file system")
  expect(existsSync(join(directory, "x"))).toBe(false)
  expect(await shell(["-v", `${directory}/in:/etc/inside`], "cat /etc/inside")).toBe("from the host")
  // Docker makes a missing source a directory.
  await shell(["-v", `${work}/made:/m`], "test -d /m")
  expect(statSync(join(work, "made")).isDirectory()).toBe(true)
  const relative = await docker("run", "--rm", "-v", "bad/../name:/m", "busybox", "true")
  expect(relative.code).toBe(125)
  const twice = await docker("run", "--rm", "-v", "/tmp:/m", "-v", "/etc:/m", "busybox", "true")
  expect(twice.code).toBe(125)
  expect(twice.stderr).toContain("Duplicate mount point: /m")
  const root = await docker("run", "--rm", "-v", "/tmp:/", "busybox", "true")
  expect(root.code).toBe(125)
  expect(root.stderr).toContain("destination can't be '/'")
})

proof(["run --volume"], "read-only binds are read-only all the way down", async () => {
  const directory = join(work, "recursive")
  mkdirSync(join(directory, "inner"), { recursive: true })
  expect(spawnSync("mount", ["-t", "tmpfs", "none", join(directory, "inner")]).status).toBe(0)
  try {
    const result = await docker(
      ...["run", "--rm", "-v", `${directory}:/d:ro`, "busybox", "sh", "-c", "echo x > /d/inner/x"],
    )
    expect(result.code).toBe(1)
    expect(await shell(["-v", `${directory}:/d`], "grep -c ' /d/inner ' /proc/mounts")).toBe("1")
  } finally {
    spawnSync("umount", [join(directory, "inner")])
  }
})

proof(["run --volume"], "propagation", async () => {
  const directory = join(work, "shared")
  mkdirSync(join(directory, "later"), { recursive: true })
  spawnSync("mount", ["--bind", directory, directory])
  spawnSync("mount", ["--make-shared", directory])
  try {
    const optional = "grep ' /d ' /proc/self/mountinfo"
    expect(await shell(["-v", `${directory}:/d`], optional)).not.toMatch(/shared:|master:/)
    expect(await shell(["-v", `${directory}:/d:rslave`], optional)).toMatch(/master:/)
    expect(await shell(["-v", `${directory}:/d:rshared`], optional)).toMatch(/shared:/)
    const id = await ok("run", "-d", "-v", `${directory}:/d:rslave`, "busybox", "sleep", "60")
    spawnSync("mount", ["-t", "tmpfs", "none", join(directory, "later")])
    expect(await ok("exec", id, "grep", "-c", " /d/later ", "/proc/mounts")).toBe("1")
    await ok("rm", "-f", id)
  } finally {
    spawnSync("umount", ["-l", join(directory, "later")])
    spawnSync("umount", ["-l", directory])
  }
})

proof(
  ["run --volume", "volume create", "volume inspect", "volume rm"],
  "-v with names and anonymous volumes",
  async () => {
    await shell(["-v", "data:/data"], "echo kept > /data/file")
    expect(await shell(["-v", "data:/data:ro"], "cat /data/file")).toBe("kept")
    expect(await ok("volume", "ls", "-q")).toBe("data")
    const busy = await ok("create", "-v", "data:/data", "busybox")
    const refused = await docker("volume", "rm", "data")
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("volume is in use")
    await ok("rm", busy)
    await ok("volume", "rm", "data")
    const id = await ok(
      "run",
      "-d",
      "-v",
      "/anonymous",
      "busybox",
      "sh",
      "-c",
      "echo a > /anonymous/f; sleep 60",
    )
    const name = await ok("volume", "ls", "-q")
    expect(name).toMatch(/^[0-9a-f]{64}$/)
    expect(
      await ok("inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}", id),
    ).toBe(`volume ${name} /anonymous true`)
    await ok("rm", "-f", id)
    expect(await ok("volume", "ls", "-q")).toBe(name)
    await ok("volume", "rm", name)
    await shell(["-v", "/gone"], "true")
    expect(await ok("volume", "ls", "-q")).toBe("")
  },
)

proof(["run --volume"], "a new volume is filled from the image, with owner and mode", async () => {
  await ok(
    "run",
    "--name",
    "seed",
    "busybox",
    "sh",
    "-c",
    "mkdir -m 750 /seed; echo s > /seed/f; chown -R 33:34 /seed; ln -s f /seed/l",
  )
  await ok("commit", "seed", "seeded")
  const look = "stat -c '%u:%g %a' /seed; cat /seed/l; readlink /seed/l"
  expect(await run("-v", "fresh:/seed", "seeded", "sh", "-c", look)).toBe("33:34 750\ns\nf")
  expect(await run("-v", "bare:/seed:nocopy", "seeded", "ls", "-A", "/seed")).toBe("")
  await ok("rm", "seed")
  await ok("volume", "rm", "fresh", "bare")
  await ok("rmi", "seeded")
})

proof(["run --mount"], "--mount: bind, volume, tmpfs, readonly, subpath", async () => {
  const directory = join(work, "mount")
  mkdirSync(directory)
  writeFileSync(join(directory, "f"), "x")
  const bind = `type=bind,source=${directory},target=/d`
  expect(await shell(["--mount", bind], "cat /d/f; touch /d/new")).toBe("x")
  expect(existsSync(join(directory, "new"))).toBe(true)
  const refused = await docker("run", "--rm", "--mount", `${bind},readonly`, "busybox", "touch", "/d/no")
  expect(refused.code).toBe(1)
  const absent = await docker(
    "run",
    "--rm",
    "--mount",
    "type=bind,source=/no/such/dir,target=/d",
    "busybox",
    "true",
  )
  expect(absent.code).toBe(125)
  expect(absent.stderr).toContain("bind source path does not exist: /no/such/dir")
  await shell(
    ["--mount", "type=volume,source=sub,target=/v"],
    "mkdir -p /v/a/b; echo deep > /v/a/b/f; ln -s / /v/root",
  )
  expect(await shell(["--mount", "source=sub,target=/v,volume-subpath=a/b"], "cat /v/f; ls /v")).toBe(
    "deep\nf",
  )
  expect(
    (
      await docker(
        "run",
        "--rm",
        "--mount",
        "source=sub,target=/v,volume-subpath=../..",
        "busybox",
        "ls",
        "/v",
      )
    ).code,
  ).toBe(125)
  const outside = await docker(
    "run",
    "--rm",
    "--mount",
    "source=sub,target=/v,volume-subpath=root/etc",
    "busybox",
    "cat",
    "/v/shadow",
  )
  expect(outside.code).not.toBe(0)
  expect(
    (await docker("run", "--rm", "--mount", "source=sub,target=/v,volume-subpath=none", "busybox", "true"))
      .code,
  ).not.toBe(0)
  await ok("volume", "rm", "sub")
  const tmpfs = "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700"
  const facts = await shell(["--mount", tmpfs], "grep ' /t ' /proc/mounts; stat -c %a /t")
  expect(facts).toMatch(/^tmpfs \/t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700/)
  expect(facts.endsWith("\n700")).toBe(true)
  const labelled = await ok(
    ...["create", "--mount", "type=volume,target=/x,volume-label=k=v,volume-nocopy", "busybox"],
  )
  expect(await ok("volume", "ls", "-q", "--filter", "label=k=v")).toMatch(/^[0-9a-f]{64}$/)
  await ok("rm", "-v", labelled)
})

proof(["run --tmpfs"], "--tmpfs with options", async () => {
  expect(await shell(["--tmpfs", "/t"], "grep ' /t ' /proc/mounts; stat -c %a /t")).toMatch(
    /^tmpfs \/t tmpfs rw,nosuid,nodev,noexec,relatime.*\n1777$/,
  )
  expect(
    await shell(["--tmpfs", "/t:rw,exec,size=2m,mode=755"], "grep ' /t ' /proc/mounts; stat -c %a /t"),
  ).toMatch(/^tmpfs \/t tmpfs rw,nosuid,nodev,relatime,size=2048k,mode=755.*\n755$/)
  const full = await docker(
    "run",
    "--rm",
    "--tmpfs",
    "/t:size=1m",
    "busybox",
    "dd",
    "if=/dev/zero",
    "of=/t/f",
    "bs=1M",
    "count=2",
  )
  expect(full.code).toBe(1)
  expect(full.stderr).toContain("No space left on device")
})

proof(["run --shm-size"], "--shm-size", async () => {
  const size = "df -k /dev/shm | awk 'NR==2 {print $2}'"
  expect(await shell([], size)).toBe("65536")
  expect(await shell(["--shm-size", "128m"], size)).toBe("131072")
})

proof(["run --read-only"], "--read-only", async () => {
  const script =
    "touch /x; echo $?; touch /etc/x; echo $?; touch /dev/shm/ok /tmpfs/ok && echo w; echo x > /data/f && cat /data/f"
  const result = await docker(
    "run",
    "--rm",
    "--read-only",
    "--tmpfs",
    "/tmpfs",
    "-v",
    "/data",
    "busybox",
    "sh",
    "-c",
    script,
  )
  expect(result.stdout).toBe("1\n1\nw\nx\n")
  expect(result.stderr.match(/Read-only file system/g)).toHaveLength(2)
})

proof(["run --device", "run --device-cgroup-rule"], "--device", async () => {
  expect(await shell(["--device", "/dev/loop-control:/dev/other:rw"], "stat -c '%t %T %F' /dev/other")).toBe(
    "a ed character special file",
  )
  expect(await shell(["--device", "/dev/zero:/dev/z:r"], "head -c 4 /dev/z | wc -c")).toBe("4")
  const denied = await docker(
    "run",
    "--rm",
    "--device",
    "/dev/zero:/dev/z:m",
    "--device",
    "/dev/kmsg:/dev/k:w",
    "busybox",
    "sh",
    "-c",
    "cat /dev/k",
  )
  expect(denied.stderr).toContain("Operation not permitted")
  const absent = await docker("run", "--rm", "--device", "/dev/nosuch", "busybox", "true")
  expect(absent.code).not.toBe(0)
  expect(absent.stderr).toContain(
    'error gathering device information while adding custom device "/dev/nosuch": no such file or directory',
  )
  // What was not given cannot be opened even when a node for it is made.
  const made = await docker("run", "--rm", "busybox", "sh", "-c", "mknod /k c 10 237 && cat /k")
  expect(made.stderr).toContain("Operation not permitted")
  expect(
    await shell(["--device-cgroup-rule", "c 10:237 rmw"], "mknod /k c 10 237 && : < /k && echo opened"),
  ).toBe("opened")
})

proof(["run --volumes-from"], "--volumes-from", async () => {
  await ok("create", "--name", "owner", "-v", "shared-data:/data", "-v", "/own", "busybox")
  await shell(["--volumes-from", "owner"], "echo 1 > /data/f; echo 2 > /own/f")
  expect(await shell(["--volumes-from", "owner:ro"], "cat /data/f /own/f; touch /data/x || echo ro")).toBe(
    "1\n2\nro",
  )
  const absent = await docker("run", "--rm", "--volumes-from", "nobody", "busybox", "true")
  expect(absent.code).toBe(125)
  expect(absent.stderr).toContain("No such container: nobody")
  await ok("rm", "-v", "owner")
  await ok("volume", "rm", "shared-data")
})

proof(["run --volume"], "mount targets never leave the container's root", async () => {
  const directory = join(work, "evil")
  mkdirSync(directory)
  symlinkSync("/", join(directory, "out"))
  await shell(["-v", `${directory}:/d`, "--tmpfs", "/d/out/tmp/from-container"], "true")
  expect(existsSync("/tmp/from-container")).toBe(false)
})
