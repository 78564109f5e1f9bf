// What a machine lacks is told in one clear sentence, before anything is done.
import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { projectRoot } from "../house/tree.ts"

const which = (name: string) =>
  spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim()

/** A copy of the scripts alone, which anybody may read, and a PATH with only the named commands. */
function place(commands: readonly string[]): { directory: string; path: string } {
  const directory = mkdtempSync(join(tmpdir(), "first-run-"))
  chmodSync(directory, 0o755)
  cpSync(join(projectRoot, "scripts"), join(directory, "scripts"), { recursive: true })
  const path = join(directory, "bin")
  mkdirSync(path)
  for (const name of commands) symlinkSync(which(name), join(path, name))
  return { directory, path }
}

function run(
  script: string,
  commands: readonly string[],
  options: { uid?: number; prefix?: readonly string[] } = {},
) {
  const { directory, path } = place(commands)
  try {
    const [command = "", ...words] = [
      ...(options.prefix ?? []),
      which("node"),
      join(directory, "scripts", script),
    ]
    const result = spawnSync(command, words, {
      encoding: "utf8",
      cwd: directory,
      env: { PATH: path, HOME: directory },
      uid: options.uid,
    })
    return { code: result.status, text: result.stderr.trim() }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const basic = ["sh", "cc", "node", "npm"]

test("not root", () => {
  const { code, text } = run("first-run.mjs", basic, { uid: 65534 })
  expect({ code, text }).toEqual({
    code: 1,
    text: "sloop: Sloop needs root to make namespaces, mounts and networks; run it again with sudo.",
  })
})

test("no compiler", () => {
  const { code, text } = run("first-run.mjs", ["sh", "node", "npm"])
  expect(code).toBe(1)
  expect(text).toStartWith("sloop: A C compiler is needed to build the launcher and none was found;")
  expect(text.split("\n")).toHaveLength(1)
})

test("no free disk", () => {
  // A private mount namespace in which the data root's place is a file system of one megabyte.
  const shell = `mount -t tmpfs -o size=1m tmpfs /var/lib && exec "$0" "$@"`
  const { code, text } = run("first-run.mjs", basic, {
    prefix: [
      which("unshare"),
      "-m",
      which("sh"),
      "-c",
      `PATH=/usr/bin:/bin:/sbin; ${shell.replace("exec", "export PATH; exec")}`,
    ],
  })
  expect({ code, lines: text.split("\n").length }).toEqual({ code: 1, lines: 1 })
  expect(text).toMatch(
    /^sloop: \/var\/lib has \d+ MB free and \d+ MB are needed; make room there and run this again\.$/,
  )
})

test("tests as somebody else than root", () => {
  const { code, text } = run("test.mjs", basic, { uid: 65534 })
  expect({ code, text: text.split("\n").length }).toEqual({ code: 1, text: 1 })
  expect(text).toContain("needs root")
})
