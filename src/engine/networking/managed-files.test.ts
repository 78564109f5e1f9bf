// The managed files of a living container: rewritten in place, what its user wrote kept.
import { afterAll, expect, test } from "bun:test"
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rewriteManagedFiles, writeManagedFiles } from "./managed-files.ts"

const root = mkdtempSync(join(tmpdir(), "managed-"))
afterAll(() => rmSync(root, { recursive: true }))

let count = 0
const begin = (hosts: string, resolvConf: string) => {
  const directory = join(root, String(count++))
  writeManagedFiles(directory, { hostname: "web", hosts, resolvConf })
  return {
    directory,
    hosts: join(directory, "hosts"),
    resolvConf: join(directory, "resolv.conf"),
    read: (file: string) => readFileSync(join(directory, file), "utf8"),
  }
}

test("files are mounted from the run's directory", () => {
  const mounts = writeManagedFiles(join(root, "run"), { hostname: "web", hosts: "h\n" })
  expect(mounts.map(({ source, target }) => [source, target])).toEqual([
    [join(root, "run", "hostname"), "/etc/hostname"],
    [join(root, "run", "hosts"), "/etc/hosts"],
  ])
})

test("untouched files take the new texts, on the same inode", () => {
  const run = begin("local\n10.0.0.2\tweb\n", "nameserver 1.1.1.1\n")
  const inode = statSync(run.hosts).ino
  rewriteManagedFiles(run.directory, {
    hosts: "local\n10.0.0.2\tweb\n10.1.0.2\tweb\n",
    resolvConf: "nameserver 127.0.0.11\n",
  })
  expect(run.read("hosts")).toBe("local\n10.0.0.2\tweb\n10.1.0.2\tweb\n")
  expect(run.read("resolv.conf")).toBe("nameserver 127.0.0.11\n")
  expect(statSync(run.hosts).ino).toBe(inode)
  rewriteManagedFiles(run.directory, { hosts: "local\n", resolvConf: "nameserver 1.1.1.1\n" })
  expect(run.read("hosts")).toBe("local\n")
  expect(run.read("resolv.conf")).toBe("nameserver 1.1.1.1\n")
})

test("a user's lines in hosts stay; a changed resolv.conf is left alone", () => {
  const run = begin("local\n10.0.0.2\tweb\n", "nameserver 1.1.1.1\n")
  appendFileSync(run.hosts, "10.9.9.9\tmine\n")
  writeFileSync(run.resolvConf, "nameserver 9.9.9.9\n")
  rewriteManagedFiles(run.directory, {
    hosts: "local\n10.1.0.2\tweb\n",
    resolvConf: "nameserver 127.0.0.11\n",
  })
  expect(run.read("hosts")).toBe("local\n10.9.9.9\tmine\n10.1.0.2\tweb\n")
  expect(run.read("resolv.conf")).toBe("nameserver 9.9.9.9\n")
})

test("a change that a crash cut short is made once", () => {
  const [before, after] = ["local\n10.0.0.2\tweb\n", "local\n10.0.0.2\tweb\n10.1.0.2\tweb\n"]
  const run = begin(before, "")
  const notes = join(run.directory, "written")
  rewriteManagedFiles(run.directory, { hosts: after })
  const done = readFileSync(notes)
  // The notes of the moment in which the file is written.
  const digest = new Bun.CryptoHasher("sha256").update(after).digest("base64")
  const pending = { hosts: { text: before, pending: { text: after, result: digest } } }
  for (const contents of [before, after]) {
    writeFileSync(run.hosts, contents)
    writeFileSync(notes, JSON.stringify(pending))
    rewriteManagedFiles(run.directory, { hosts: after })
    expect(run.read("hosts")).toBe(after)
    expect(JSON.parse(readFileSync(notes, "utf8")).hosts).toEqual(JSON.parse(done.toString()).hosts)
  }
})

test("what is no text of ours is left: a huge file, a run of an older engine", () => {
  const run = begin("local\n", "")
  truncateSync(run.hosts, 8 << 20)
  rewriteManagedFiles(run.directory, { hosts: "other\n" })
  expect(statSync(run.hosts).size).toBe(8 << 20)
  writeFileSync(run.hosts, "local\n")
  rmSync(join(run.directory, "written"))
  rewriteManagedFiles(run.directory, { hosts: "other\n" })
  expect(run.read("hosts")).toBe("local\n")
})
