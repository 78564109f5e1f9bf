// unpack against archives that want to reach what is not theirs. Each attack is mounted for real.
import { afterAll, expect, test } from "bun:test"
import { execFileSync, spawn } from "node:child_process"
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describeTree, freshDirectory, unpack, upload } from "./archives.ts"
import { startLauncher } from "./client.ts"
import { type TarEntry, tarOf } from "./tar.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

const body = Buffer.from("attack")

/** A root beside a victim directory that must not change. */
function arena() {
  const place = freshDirectory(launcher.directory)
  const root = join(place.path, "root")
  const victim = join(place.path, "victim")
  mkdirSync(join(root, "etc"), { recursive: true })
  mkdirSync(victim)
  writeFileSync(join(victim, "passwd"), "host")
  return { root, victim, before: describeTree(victim), [Symbol.dispose]: () => place[Symbol.dispose]() }
}

const archives: [string, (victim: string) => TarEntry[]][] = [
  [
    "a symlink, then a file through it",
    (victim) => [
      { name: "l", kind: "2", link: victim },
      { name: "l/passwd", body },
    ],
  ],
  [
    "a relative symlink out of the root, then a file through it",
    () => [
      { name: "l", kind: "2", link: "../victim" },
      { name: "l/passwd", body },
    ],
  ],
  [
    "a file whose own name is a symlink",
    (victim) => [
      { name: "f", kind: "2", link: `${victim}/passwd` },
      { name: "f", body, mode: 0o6777, uid: 99 },
    ],
  ],
  [
    "a hard link to a host file, then a write",
    (victim) => [
      { name: "h", kind: "1", link: `${victim}/passwd` },
      { name: "h", body },
    ],
  ],
  [
    "a hard link through a symlink, then chmod",
    (victim) => [
      { name: "l", kind: "2", link: victim },
      { name: "h", kind: "1", link: "l/passwd" },
      { name: "h", mode: 0o4777 },
    ],
  ],
  ["a hard link that leads out by dots", () => [{ name: "h", kind: "1", link: "../victim/passwd" }]],
  [
    "a directory over a symlink to a directory",
    (victim) => [
      { name: "l", kind: "2", link: victim },
      { name: "l/", kind: "5", mode: 0o777, uid: 99 },
    ],
  ],
  ["names with dots", () => [{ name: "../victim/passwd", body }]],
  ["names with dots in the middle", () => [{ name: "etc/../../victim/passwd", body }]],
  ["an absolute name", (victim) => [{ name: `${victim}/passwd`, body }]],
  ["a pax path with dots", () => [{ name: "ok", pax: { path: "a/../../victim/passwd" }, body }]],
  [
    "a device through a symlink",
    (victim) => [
      { name: "l", kind: "2", link: victim },
      { name: "l/dev", kind: "3", device: [1, 1] },
    ],
  ],
  [
    "a fifo and a link chain",
    (victim) => [
      { name: "a", kind: "2", link: "b" },
      { name: "b", kind: "2", link: victim },
      { name: "a/fifo", kind: "6" },
    ],
  ],
  [
    "magic links of proc",
    () => [
      { name: "p", kind: "2", link: "/proc/self/root" },
      { name: "p/etc/sloop-attack", body },
    ],
  ],
  [
    "attributes of a symlink's target",
    (victim) => [
      {
        name: "s",
        kind: "2",
        link: `${victim}/passwd`,
        uid: 99,
        mode: 0o777,
        mtime: 5n,
        xattrs: { "user.x": "1" },
      },
    ],
  ],
]

test.each(archives)("%s", async (_name, entries) => {
  using place = arena()
  for (const whiteouts of ["none", "overlay", "apply"])
    await unpack(launcher.socket, place.root, tarOf(...entries(place.victim)), { whiteouts })
  expect(describeTree(place.victim)).toEqual(place.before)
  expect(readFileSync(join(place.victim, "passwd"), "utf8")).toBe("host")
  expect(existsSync("/etc/sloop-attack")).toBe(false)
})

const refused: [string, TarEntry, RegExp][] = [
  ["names above the destination", { name: "../x" }, /leads out of the destination/],
  [
    "hard links above the destination",
    { name: "x", kind: "1", link: "../../etc/passwd" },
    /outside of the destination/,
  ],
  ["a whiteout of the parent", { name: "d/.wh..." }, /names nothing that can be hidden/],
  ["a whiteout of the directory", { name: "d/.wh.." }, /names nothing that can be hidden/],
  ["a whiteout of nothing", { name: "d/.wh." }, /names nothing that can be hidden/],
  ["a whiteout with a slash", { name: "d/.wh.x/y" }, /a whiteout cannot be a directory/],
  [
    "overlay attributes of the engine",
    { name: "d/", kind: "5", xattrs: { "trusted.overlay.opaque": "y" } },
    /only the engine may set/,
  ],
  [
    "overlay attributes of a user",
    { name: "d/", kind: "5", xattrs: { "user.overlay.redirect": "/etc" } },
    /only the engine may set/,
  ],
  ["a forged whiteout device", { name: "w", kind: "3", device: [0, 0] }, /would be taken for a whiteout/],
  [
    "a file in place of the root",
    { name: "./", kind: "2", link: "/etc" },
    /only a directory can have the name/,
  ],
]

test.each(refused)("a layer with %s is refused", async (_name, entry, message) => {
  for (const whiteouts of ["overlay", "apply"]) {
    using place = arena()
    const report = await unpack(launcher.socket, place.root, tarOf(entry), { whiteouts })
    expect([report.kind, report.fields[0]]).toEqual(["failed", "unpack"])
    expect(report.fields[3]).toMatch(message)
  }
})

test("an opaque marker through a symlink stays in the root", async () => {
  using place = arena()
  writeFileSync(join(place.root, "etc/old"), "")
  const archive = tarOf(
    { name: "l", kind: "2", link: place.victim },
    { name: "m", kind: "2", link: "etc" },
    { name: "m/.wh..wh..opq" },
    { name: "l/.wh..wh..opq" },
  )
  await unpack(launcher.socket, place.root, archive, { whiteouts: "apply" })
  expect(describeTree(place.victim)).toEqual(place.before)
  expect(existsSync(join(place.root, "etc/old"))).toBe(false)
})

test("a whiteout of a symlink removes the link, not what it leads to", async () => {
  using place = arena()
  symlinkSync(place.victim, join(place.root, "l"))
  await unpack(launcher.socket, place.root, tarOf({ name: ".wh.l" }), { whiteouts: "apply" })
  expect(existsSync(join(place.root, "l"))).toBe(false)
  expect(describeTree(place.victim)).toEqual(place.before)
})

test("a parent that is exchanged for a symlink again and again never leads out", async () => {
  using place = arena()
  mkdirSync(join(place.root, "race"))
  symlinkSync(place.victim, join(place.root, "link"))
  const script =
    "while :; do mv -T race away; mv -T link race; mv -T race link; mv -T away race; done 2>/dev/null"
  const racer = spawn("sh", ["-c", script], { cwd: place.root, stdio: "ignore" })
  try {
    const archive = tarOf(
      ...Array.from({ length: 400 }, (_, i) => ({
        name: i % 2 ? `race/f${i}` : `g${i}`,
        body,
        mode: 0o4777,
      })),
    )
    for (let round = 0; round < 25; round++)
      await upload(launcher.socket, [["unpack"], ["root-path", place.root]], archive)
    await upload(launcher.socket, [["unpack"], ["root-path", place.root], ["at", "/race"]], archive)
  } finally {
    racer.kill("SIGKILL")
  }
  expect(describeTree(place.victim)).toEqual(place.before)
})

test("removal does not follow a symlink that takes a directory's place, and stops at mounts", async () => {
  using place = arena()
  mkdirSync(join(place.root, "d/m"), { recursive: true })
  symlinkSync(place.victim, join(place.root, "d/l"))
  execFileSync("mount", ["--bind", place.victim, join(place.root, "d/m")])
  try {
    await unpack(launcher.socket, place.root, tarOf({ name: "d", body }))
    expect(describeTree(place.victim)).toEqual(place.before)
  } finally {
    execFileSync("umount", [join(place.root, "d/m")])
  }
  await unpack(launcher.socket, place.root, tarOf({ name: "d", body }))
  expect(lstatSync(join(place.root, "d")).isFile()).toBe(true)
  expect(describeTree(place.victim)).toEqual(place.before)
})
