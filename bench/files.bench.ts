// Files of an image as containers see them: a find over tens of thousands of files, a read of all of them, python's start, against
// dockerd's unpacked overlay2. Warm: the first round is not measured.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { alternate, command, median } from "./harness/measure.ts"
import { baseImage } from "./harness/peers.ts"
import type { Bench, Contenders, Outcome } from "./harness/promise.ts"
import { travellingImage } from "./harness/travelling-images.ts"

const must = (words: readonly string[], cwd?: string): string => {
  const { status, stdout, stderr } = spawnSync(words[0] ?? "", words.slice(1), { cwd, encoding: "utf8" })
  if (status !== 0) throw new Error(`${words.join(" ")}: ${stderr}`)
  return stdout
}

/** This machine's python with all that it is linked to, put into a tree; whether there is one. */
const addPython = (tree: string): boolean => {
  const program = spawnSync("readlink", ["-f", "/usr/bin/python3"], { encoding: "utf8" }).stdout.trim()
  const library = `/usr/lib/${program.split("/").at(-1) ?? ""}`
  if (!existsSync(program) || !existsSync(library)) return false
  const linked = must(["ldd", program])
    .split("\n")
    .flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? [])
  must(["cp", "-L", "--parents", program, ...linked, tree])
  mkdirSync(join(tree, "usr/lib"), { recursive: true })
  must(["cp", "-a", library, join(tree, "usr/lib")])
  must(["ln", "-sf", program, join(tree, "python3")])
  return true
}

/** A root file system with busybox, 39,000 files and python, as a tar at `path`. */
const makeTree = async (directory: string, path: string): Promise<boolean> => {
  const tree = join(directory, "tree")
  mkdirSync(tree)
  must(["tar", "-xf", baseImage, "-C", tree])
  const { layers } = await travellingImage("many files", "gzip")
  for (const layer of layers) must(["tar", "-xzf", layer.path, "-C", tree])
  const python = addPython(tree)
  must(["tar", "-cf", path, "-C", tree, "."])
  rmSync(tree, { recursive: true })
  return python
}

const works = {
  find: ["find", "/opt", "-type", "f", "-size", "+1000000k"],
  read: ["find", "/opt", "-type", "f", "-exec", "cat", "{}", "+"],
  python: ["/python3", "-c", "import json, http.client, email.message, decimal, logging"],
} as const

async function compare(
  what: keyof typeof works,
  { sloop, docker, rounds }: Contenders,
): Promise<Outcome | undefined> {
  if (docker === undefined) return undefined
  const inside = ["sh", "-c", '"$@" > /dev/null', "sh", ...works[what]]
  const work = (client: readonly string[]) => () => command([...client, "exec", "files", ...inside])
  const raw = await alternate({ sloop: work(sloop.client), docker: work(docker.client) }, rounds)
  const figures = Object.fromEntries(Object.entries(raw).map(([name, samples]) => [name, median(samples)]))
  return {
    promise: `${what} over an image's files inside a container: time against dockerd's unpacked overlay`,
    measured: (figures.sloop ?? 0) / (figures.docker ?? 1),
    unit: "×",
    limit: 1.1,
    better: "lower",
    figures,
    raw,
  }
}

export const bench: Bench = {
  name: "files",
  async run(contenders) {
    const { sloop, docker } = contenders
    if (docker === undefined) return []
    const directory = mkdtempSync(join(tmpdir(), "sloop-files-"))
    const clients = [sloop.client, docker.client]
    try {
      const tar = join(directory, "tree.tar")
      const python = await makeTree(directory, tar)
      for (const client of clients) {
        await command([...client, "import", tar, "files:1"])
        await command([
          ...client,
          "run",
          "-d",
          "--name",
          "files",
          "--network",
          "none",
          "files:1",
          "sleep",
          "3600",
        ])
      }
      const outcomes: Outcome[] = []
      for (const what of ["find", "read", ...(python ? (["python"] as const) : [])] as const) {
        const outcome = await compare(what, contenders)
        if (outcome !== undefined) outcomes.push(outcome)
      }
      return outcomes
    } finally {
      for (const client of clients) {
        await command([...client, "rm", "-f", "files"]).catch(() => {})
        await command([...client, "rmi", "files:1"]).catch(() => {})
      }
      rmSync(directory, { recursive: true, force: true })
    }
  },
}
