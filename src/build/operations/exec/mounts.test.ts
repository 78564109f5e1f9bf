// RUN --mount on a real kernel: what steps see at their mounts, and that nothing of it is left where it does not belong.
import { afterAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { compile } from "../../../../test/fixtures/c-program.ts"
import { type TarSource, writeTar } from "../../../base/tar-writer.ts"
import type { ExecMount } from "../../graph/graph.ts"
import type { Tree } from "../../solver/solver.ts"
import { commitTar } from "../commit.ts"
import { emptyTree } from "../operations.ts"
import { execNode, openStepGround } from "../testing/ground.ts"

const ground = await openStepGround()
afterAll(async () => expect(await ground.end()).toEqual([]), 20_000)

const programs = compile(
  join(ground.directory, "programs"),
  join(import.meta.dirname, "..", "testing", "ask.c"),
)
const tree = await commitTar(
  ground.rooms,
  writeTar([
    { name: "dir/", type: "directory", mode: 0o750 },
    { name: "dir/file", type: "file", body: Buffer.from("from the tree\n") },
    { name: "inside", type: "symlink", linkName: "/dir" },
    { name: "outside", type: "symlink", linkName: "../../../../../../etc" },
    { name: "ask", type: "file", mode: 0o755, body: readFileSync(join(programs, "ask")) },
    { name: "alone", type: "file", body: Buffer.from("alone\n") },
  ] satisfies TarSource[]),
  emptyTree,
  ground.run(),
)

type Bind = Extract<ExecMount, { type: "bind" }>
type Secret = Extract<ExecMount, { type: "secret" }>

const node = execNode()
const bind = (changes: Partial<Bind> = {}): Bind => ({
  type: "bind",
  input: node,
  source: "/",
  target: "/mnt/tree",
  readOnly: true,
  ...changes,
})
const secret = (changes: Partial<Secret> = {}): Secret => ({
  type: "secret",
  id: "token",
  target: "/run/secrets/token",
  required: true,
  mode: 0o400,
  uid: 0,
  gid: 0,
  ...changes,
})
const first: ReadonlyMap<number, Tree> = new Map([[0, tree]])
const secretsOf = (values: Readonly<Record<string, string>>) => ({
  secrets: (id: string) => Promise.resolve(id in values ? Buffer.from(values[id] ?? "") : undefined),
})

test("bind: another tree, read-only, with nothing of it in the layer", async () => {
  const { output, tree: result } = await ground.sh(
    "cat /mnt/tree/dir/file; stat -c '%a %u %g' /mnt/tree/dir; touch /mnt/tree/x || echo refused; touch /made",
    { node: { mounts: [bind()] }, trees: first },
  )
  expect(output).toContain("from the tree\n750 0 0\n")
  expect(output).toContain("Read-only file system\n")
  expect(output).toContain("refused\n")
  expect(await ground.names(result)).toEqual(["made"])
})

test.each([
  ["/dir", "/mnt/d", "cat /mnt/d/file", "from the tree\n"],
  ["dir/file", "/mnt/f", "cat /mnt/f", "from the tree\n"],
  ["/inside/file", "/deep/new/f", "cat /deep/new/f", "from the tree\n"],
  ["alone", "/etc/passwd", "cat /etc/passwd", "alone\n"],
])("bind of %s at %s", async (source, target, script, expected) => {
  const { output, tree: result } = await ground.sh(script, {
    node: { mounts: [bind({ source, target })] },
    trees: first,
  })
  expect(output).toBe(expected)
  expect(await ground.names(result)).toEqual([])
})

test("bind of what is not there is refused by name, before anything runs", async () => {
  const work = ground.sh("true", { node: { mounts: [bind({ source: "/no/where" })] }, trees: first })
  await expect(work).rejects.toThrow('"/no/where": not found')
})

test("bind with rw: writes are thrown away, and the tree stays", async () => {
  const options = { node: { mounts: [bind({ readOnly: false })] }, trees: first }
  const script = "ls /mnt/tree; echo new > /mnt/tree/written; rm -r /mnt/tree/dir; ls /mnt/tree"
  const { output, tree: result } = await ground.sh(script, options)
  expect(output).toBe("alone\nask\ndir\ninside\noutside\nalone\nask\ninside\noutside\nwritten\n")
  expect(await ground.names(result)).toEqual([])
  expect((await ground.sh("ls /mnt/tree", options)).output).toBe("alone\nask\ndir\ninside\noutside\n")
})

test("bind of a tree of several layers, of scratch, and of a single layer", async () => {
  const { output } = await ground.sh("ls /several/bin | grep -cx sh; ls -A /nothing | wc -l", {
    node: {
      mounts: [bind({ target: "/several" }), bind({ target: "/nothing", input: "scratch" })],
    },
    trees: new Map([[0, (await ground.sh("touch /x")).tree]]),
  })
  expect(output).toBe("1\n0\n")
})

test("tmpfs: in memory, of its size, gone after", async () => {
  const mounts: ExecMount[] = [{ type: "tmpfs", target: "/scratch/space", size: 1 << 20 }]
  const { output, tree: result } = await ground.sh(
    "df -k /scratch/space | tail -1 | awk '{print $1, $2}'; dd if=/dev/zero of=/scratch/space/f bs=1M count=2 2>/dev/null || echo full",
    { node: { mounts } },
  )
  expect(output).toBe("tmpfs 1024\nfull\n")
  expect(await ground.names(result)).toEqual([])
})

test("secret: a file of its owner and mode in memory, a variable, and nothing in the layer", async () => {
  const request = secretsOf({ token: "s3cret", other: "in the environment" })
  const mounts = [
    secret({ mode: 0o440, uid: 3, gid: 4 }),
    secret({ id: "other", target: undefined, env: "TOKEN" }),
  ]
  const { output, tree: result } = await ground.sh(
    'cat /run/secrets/token; echo; stat -c "%a %u %g" /run/secrets/token; grep -c " /run/secrets/token .*tmpfs" /proc/self/mountinfo; echo "$TOKEN"; echo x > /run/secrets/token || echo refused; touch /made',
    { node: { mounts }, request },
  )
  expect(output).toContain("s3cret\n440 3 4\n1\nin the environment\n")
  expect(output).toContain("refused")
  expect(await ground.names(result)).toEqual(["made"])
})

test("secret: binary, empty, missing, too large", async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
  const binary = await ground.sh("md5sum < /run/secrets/token", {
    node: { mounts: [secret()] },
    request: { secrets: () => Promise.resolve(bytes) },
  })
  expect(binary.output).toStartWith(new Bun.CryptoHasher("md5").update(bytes).digest("hex"))
  const empty = await ground.sh("wc -c < /run/secrets/token", {
    node: { mounts: [secret()] },
    request: secretsOf({ token: "" }),
  })
  expect(empty.output).toBe("0\n")
  await expect(ground.sh("true", { node: { mounts: [secret()] } })).rejects.toThrow("secret token: not found")
  const optional = await ground.sh("ls /run/secrets 2>&1 || true", {
    node: { mounts: [secret({ required: false })] },
  })
  expect(optional.output).toContain("No such file")
  const large = { secrets: () => Promise.resolve(Buffer.alloc(600_000)) }
  await expect(ground.sh("true", { node: { mounts: [secret()] }, request: large })).rejects.toThrow("at most")
  const most = { secrets: () => Promise.resolve(Buffer.alloc(500 * 1024, 7)) }
  expect(
    (await ground.sh("wc -c < /run/secrets/token", { node: { mounts: [secret()] }, request: most })).output,
  ).toBe("512000\n")
})

test("a secret and a cache in one directory, mounts in mounts", async () => {
  const { output, tree: result } = await ground.sh("cat /a/b/token; ls /a /a/b; ls /a/b/c", {
    node: {
      mounts: [
        secret({ target: "/a/b/token" }),
        bind({ target: "/a/b/c" }),
        { type: "tmpfs", target: "/a/b", size: 0 },
      ],
    },
    trees: new Map([[1, tree]]),
    request: secretsOf({ token: "t\n" }),
  })
  expect(output).toBe("t\n/a:\nb\n\n/a/b:\nc\ntoken\nalone\nask\ndir\ninside\noutside\n")
  expect(await ground.names(result)).toEqual([])
})

/** An agent that answers every chunk with itself in capitals. */
const shouting = (): Duplex => {
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _, done) {
      stream.push(chunk.toString().toUpperCase())
      done()
    },
    final(done) {
      stream.push(null)
      done()
    },
  })
  return stream
}

test("ssh: a socket for the step, a connection for each that it opens", async () => {
  let connections = 0
  const request = {
    ssh: (id: string) => {
      connections++
      return Promise.resolve(id === "default" ? shouting() : undefined)
    },
  }
  const mounts: ExecMount[] = [
    {
      type: "ssh",
      id: "default",
      target: "/run/buildkit/ssh_agent.0",
      required: true,
      mode: 0o600,
      uid: 5,
      gid: 6,
    },
    {
      type: "ssh",
      id: "absent",
      target: "/run/buildkit/ssh_agent.1",
      required: false,
      mode: 0o600,
      uid: 0,
      gid: 0,
    },
  ]
  const { output, tree: result } = await ground.sh(
    'echo "$SSH_AUTH_SOCK"; stat -c "%a %u %g %F" $SSH_AUTH_SOCK; for i in 1 2; do /t/ask $SSH_AUTH_SOCK hello; done; ls /run/buildkit',
    { node: { mounts: [...mounts, bind({ target: "/t" })] }, trees: new Map([[2, tree]]), request },
  )
  expect(output).toBe("/run/buildkit/ssh_agent.0\n600 5 6 socket\nHELLO\nHELLO\nssh_agent.0\n")
  expect(await ground.names(result)).toEqual([])
  // One to see whether there is one at all, for each id.
  expect(connections).toBe(4)
  const needed = mounts.map((mount) => ({ ...mount, required: true }) as ExecMount)
  await expect(ground.sh("true", { node: { mounts: needed }, request })).rejects.toThrow(
    'no SSH key "absent" forwarded from the client',
  )
})

test.each([["/"], ["/.."], [""]])("a target %j is refused", async (target) => {
  const mounts: ExecMount[] = [{ type: "tmpfs", target, size: 0 }]
  await expect(ground.sh("true", { node: { mounts } })).rejects.toThrow("invalid mount target")
})
