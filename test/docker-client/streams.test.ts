// Streams between the docker client and processes: separation, half-close, terminals, detach, attach, resize, volume.
import { afterAll, expect } from "bun:test"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, dockerWith, ok } = engine

interface Terminal {
  readonly child: ChildProcess
  /** Everything the terminal showed so far. */
  text(): string
  type(keys: string): void
  ended: Promise<number>
}

/** The docker client on a pseudo terminal, made by util-linux's script. */
const terminal = (...words: string[]): Terminal => {
  const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")
  const child = spawn("script", ["-qefc", `stty rows 31 cols 97; tty; exec docker ${quoted}`, "/dev/null"], {
    env: { ...process.env, ...engine.env, TERM: "xterm" },
    stdio: ["pipe", "pipe", "inherit"],
  })
  let shown = ""
  child.stdout?.on("data", (chunk: Buffer) => {
    shown += chunk.toString()
  })
  return {
    child,
    text: () => shown,
    type: (keys) => void child.stdin?.write(keys),
    ended: new Promise((resolve) => child.once("close", (code) => resolve(code ?? -1))),
  }
}
const shows = (screen: Terminal, text: string) =>
  eventually(`the terminal shows ${JSON.stringify(text)}`, () => screen.text().includes(text))

proof(["run"], "stdout and stderr come apart", async () => {
  const script = "for i in 1 2 3; do echo out$i; echo err$i >&2; done"
  const { stdout, stderr } = await docker("run", "--rm", "busybox", "sh", "-c", script)
  expect(stdout).toBe("out1\nout2\nout3\n")
  expect(stderr).toBe("err1\nerr2\nerr3\n")
})

proof(["run --interactive"], "-i: stdin arrives, and its end too", async () => {
  const echoed = await dockerWith({ stdin: "x\ny" }, "run", "--rm", "-i", "busybox", "cat")
  expect(echoed).toEqual({ code: 0, stdout: "x\ny", stderr: "" })
  // Output that follows the end of the input still comes.
  const late = await dockerWith(
    { stdin: "1\n2\n" },
    "run",
    "--rm",
    "-i",
    "busybox",
    "sh",
    "-c",
    "wc -l; sleep 0.3; echo late",
  )
  expect(late.stdout).toBe("2\nlate\n")
  const closed = await dockerWith({ stdin: "lost" }, "run", "--rm", "busybox", "cat")
  expect(closed.stdout).toBe("")
})

proof(["run --attach"], "-a chooses streams", async () => {
  const result = await docker("run", "--rm", "-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2")
  expect(result.stdout).toBe("")
  expect(result.stderr).toBe("err\n")
})

proof(["run --tty"], "-t gives a terminal of the client's size", async () => {
  const screen = terminal(
    "run",
    "--rm",
    "-it",
    "busybox",
    "sh",
    "-c",
    "tty; stty size; echo $TERM; read line; echo got $line; exit 5",
  )
  await shows(screen, "/dev/pts/0")
  await shows(screen, "31 97")
  await shows(screen, "xterm")
  screen.type("hello\n")
  await shows(screen, "got hello")
  expect(await screen.ended).toBe(5)
  const plain = await docker(
    "run",
    "--rm",
    "-t",
    "busybox",
    "sh",
    "-c",
    "test -t 1 && echo tty; echo err >&2",
  )
  expect(plain.stdout).toBe("tty\r\nerr\r\n")
})

proof(["run --tty"], "an interrupt typed on the terminal reaches the process", async () => {
  const screen = terminal(
    "run",
    "--rm",
    "-it",
    "busybox",
    "sh",
    "-c",
    "trap 'echo INT; exit 3' INT; echo ready; while :; do sleep 0.1; done",
  )
  await shows(screen, "ready")
  screen.type("\x03")
  await shows(screen, "INT")
  expect(await screen.ended).toBe(3)
})

proof(["attach", "attach --detach-keys", "run --detach-keys"], "detach by keys, attach again", async () => {
  const screen = terminal("run", "--name", "detach", "-it", "busybox", "sh", "-c", "echo up; cat; echo over")
  await shows(screen, "up")
  screen.type("\x10\x11")
  expect(await screen.ended).toBe(0)
  expect(await ok("inspect", "-f", "{{.State.Running}}", "detach")).toBe("true")
  const again = terminal("attach", "--detach-keys", "ctrl-x,y", "detach")
  await Bun.sleep(200)
  again.type("typed\n")
  await shows(again, "typed\r\ntyped")
  again.type("\x18y")
  await again.ended
  expect(await ok("inspect", "-f", "{{.State.Running}}", "detach")).toBe("true")
  const last = terminal("attach", "detach")
  await Bun.sleep(200)
  last.type("\x04")
  await shows(last, "over")
  expect(await last.ended).toBe(0)
  await ok("rm", "detach")
  const wrong = await docker("run", "--rm", "--detach-keys", "nonsense!", "busybox", "true")
  expect(wrong.code).not.toBe(0)
})

proof(
  ["attach", "attach --no-stdin", "attach --sig-proxy"],
  "attach to what runs, without a terminal",
  async () => {
    const script = "while read line; do echo got $line; done; exit 6"
    await ok("create", "-i", "--name", "running", "busybox", "sh", "-c", script)
    await ok("start", "running")
    const result = await dockerWith({ stdin: "a\nb\n" }, "attach", "running")
    expect(result.stdout).toBe("got a\ngot b\n")
    expect(result.code).toBe(6)
    const stopped = await docker("attach", "running")
    expect(stopped.code).toBe(1)
    expect(stopped.stderr).toContain("cannot attach to a stopped container, start it first")
    await ok("rm", "running")
  },
)

proof(["start", "start --attach", "start --interactive"], "start -a -i", async () => {
  await ok("create", "-i", "--name", "again", "busybox", "sh", "-c", "cat; exit 4")
  for (const text of ["first", "second"]) {
    const result = await dockerWith({ stdin: text }, "start", "-ai", "again")
    expect(result).toEqual({ code: 4, stdout: text, stderr: "" })
  }
  await ok("rm", "again")
})

proof(["run --tty"], "the terminal follows the client's size", async () => {
  const screen = terminal(
    "run",
    "--rm",
    "-it",
    "--name",
    "size",
    "busybox",
    "sh",
    "-c",
    "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done",
  )
  await shows(screen, "ready")
  const resize = await fetch("http://localhost/containers/size/resize?h=44&w=133", {
    unix: engine.socket,
    method: "POST",
  })
  expect(resize.status).toBe(200)
  await shows(screen, "44 133")
  // The client's own terminal changes: the kernel tells the client, the client the engine.
  const device = /^\S+/.exec(screen.text())?.[0] ?? ""
  spawnSync("stty", ["-F", device, "rows", "50", "cols", "120"])
  await shows(screen, "50 120")
  await ok("kill", "size")
  expect(await screen.ended).toBe(137)
})

proof(
  ["run", "logs"],
  "50 MB through stdout are intact, and in the log",
  async () => {
    const script = "head -c 52428800 /dev/urandom > /f; md5sum < /f >&2; cat /f"
    const child = engine.spawnDocker("run", "--log-driver", "none", "--rm", "busybox", "sh", "-c", script)
    const hash = createHash("md5")
    let bytes = 0
    let said = ""
    child.stdout?.on("data", (chunk: Buffer) => {
      hash.update(chunk)
      bytes += chunk.length
    })
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString()
    })
    await new Promise((resolve) => child.once("close", resolve))
    expect(bytes).toBe(50 * 1024 * 1024)
    expect(said.slice(0, 32)).toBe(hash.digest("hex"))
    // Through stdin and back as well.
    const data = Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef\n")
    const back = await dockerWith({ stdin: data }, "run", "--rm", "-i", "busybox", "md5sum")
    expect(back.stdout.slice(0, 32)).toBe(createHash("md5").update(data).digest("hex"))
  },
  60_000,
)

proof(["run"], "a client that is killed leaves the container running", async () => {
  const child = engine.spawnDocker("run", "--name", "orphan", "busybox", "sh", "-c", "echo up; sleep 60")
  await new Promise((resolve) => child.stdout?.once("data", resolve))
  child.kill("SIGKILL")
  await Bun.sleep(100)
  expect(await ok("inspect", "-f", "{{.State.Running}}", "orphan")).toBe("true")
  await ok("rm", "-f", "orphan")
})

proof(
  ["logs", "logs --tail", "logs --since", "logs --until", "logs --timestamps", "logs --details"],
  "logs",
  async () => {
    const script = "for i in 1 2 3 4 5; do echo line$i; sleep 0.02; done; echo bad >&2; printf unfinished"
    await ok(
      "run",
      "--name",
      "logged",
      "--label",
      "a=b",
      "--log-opt",
      "labels=a",
      "busybox",
      "sh",
      "-c",
      script,
    )
    const all = await docker("logs", "logged")
    expect(all.stdout).toBe("line1\nline2\nline3\nline4\nline5\nunfinished")
    expect(all.stderr).toBe("bad\n")
    expect((await docker("logs", "--tail", "2", "logged")).stdout).toBe("unfinished")
    expect((await docker("logs", "-n", "0", "logged")).stdout).toBe("")
    const stamped = (await docker("logs", "-t", "logged")).stdout.split("\n")
    expect(stamped[2]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line3$/)
    const third = stamped[2]?.split(" ")[0] ?? ""
    expect((await docker("logs", "--since", third, "logged")).stdout).toBe("line3\nline4\nline5\nunfinished")
    expect((await docker("logs", "--until", third, "logged")).stdout).toBe("line1\nline2\nline3\n")
    expect((await docker("logs", "--since", "1h", "--tail", "1", "logged")).stdout).toBe("unfinished")
    expect((await docker("logs", "--details", "logged")).stdout.split("\n")[0]).toBe("a=b line1")
    await ok("rm", "logged")
    const absent = await docker("logs", "logged")
    expect(absent.code).toBe(1)
    expect(absent.stderr).toContain("No such container: logged")
  },
)

proof(["logs --follow", "run --log-driver", "run --log-opt"], "logs -f, rotation, none", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "followed",
    "busybox",
    "sh",
    "-c",
    "echo 1; sleep 0.4; echo 2; sleep 0.2; echo 3",
  )
  expect((await docker("logs", "-f", "followed")).stdout).toBe("1\n2\n3\n")
  await ok("rm", "followed")
  const many = "i=0; while [ $i -lt 4000 ]; do echo line $i of some length to fill the file; i=$((i+1)); done"
  await ok(
    "run",
    "--name",
    "rotated",
    "--log-opt",
    "max-size=32k",
    "--log-opt",
    "max-file=2",
    "busybox",
    "sh",
    "-c",
    many,
  )
  const lines = (await ok("logs", "rotated")).split("\n")
  expect(lines.at(-1)).toBe("line 3999 of some length to fill the file")
  expect(lines.length).toBeLessThan(1500)
  expect(lines.length).toBeGreaterThan(100)
  await ok("rm", "rotated")
  await ok("run", "--name", "silent", "--log-driver", "none", "busybox", "echo", "x")
  const none = await docker("logs", "silent")
  expect(none.code).toBe(1)
  expect(none.stderr).toContain("configured logging driver does not support reading")
  await ok("rm", "silent")
  const wrong = await docker("run", "--rm", "--log-opt", "nonsense=1", "busybox", "true")
  expect(wrong.code).toBe(125)
  expect(wrong.stderr).toContain("unknown log opt 'nonsense' for json-file log driver")
})
