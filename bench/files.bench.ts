// Files of an image as containers see them: a find over tens of thousands of files, a read of all of them, python's start; on EROFS
// layers, on unpacked ones of an engine of our own beside it, and on dockerd's. Warm: the first round is not measured.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { alternate, command, median } from "./harness/measure.ts"
import { baseImage, type Peer, startSloop } from "./harness/peers.ts"
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
  peers: Readonly<Record<string, Peer>>,
  rounds: number,
): Promise<Outcome> {
  const inside = ["sh", "-c", '"$@" > /dev/null', "sh", ...works[what]]
  const work =
    ({ client }: Peer) =>
    () =>
      command([...client, "exec", "files", ...inside])
  const contenders = Object.fromEntries(Object.entries(peers).map(([name, peer]) => [name, work(peer)]))
  const raw = await alternate(contenders, rounds)
  const figures = Object.fromEntries(Object.entries(raw).map(([name, samples]) => [name, median(samples)]))
  return {
    promise: `${what} over an image's files inside a container: time against unpacked layers`,
    measured: (figures.sloop ?? 0) / (figures.unpacked ?? 1),
    unit: "×",
    limit: 1.1,
    better: "lower",
    figures,
    raw,
  }
}

export const bench: Bench = {
  name: "files",
  async run({ sloop, docker, rounds }: Contenders) {
    const directory = mkdtempSync(join(tmpdir(), "sloop-files-"))
    const unpacked = await startSloop("unpacked", ["--snapshotter", "overlay"])
    const peers: Record<string, Peer> = { sloop, unpacked, ...(docker === undefined ? {} : { docker }) }
    const clients = Object.values(peers).map(({ client }) => client)
    try {
      const tar = join(directory, "tree.tar")
      const python = await makeTree(directory, tar)
      for (const client of clients) {
        await command([...client, "import", tar, "files:1"])
        const options = ["-d", "--name", "files", "--network", "none"]
        await command([...client, "run", ...options, "files:1", "sleep", "3600"])
      }
      const outcomes: Outcome[] = []
      for (const what of ["find", "read", ...(python ? (["python"] as const) : [])] as const)
        outcomes.push(await compare(what, peers, rounds))
      return outcomes
    } finally {
      for (const client of clients) {
        await command([...client, "rm", "-f", "files"]).catch(() => {})
        await command([...client, "rmi", "files:1"]).catch(() => {})
      }
      await unpacked.close()
      rmSync(directory, { recursive: true, force: true })
    }
  },
}
