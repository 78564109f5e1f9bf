// A real terminal before sloop: sizes, raw mode, detach keys, signals, prompts.
import { afterAll, expect, test } from "bun:test"
import { join } from "node:path"
import { eventually, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)

const project = join(import.meta.dirname, "..", "..")
const binary = process.env.SLOOP_BIN
const program = binary ? [binary] : [join(project, "node_modules/.bin/bun"), join(project, "src/main.ts")]

/** sloop on a pty of 30 rows and 90 columns. */
function play(...words: string[]) {
  let shown = ""
  let sent = 0
  const child = Bun.spawn([...program, ...words], {
    env: { ...process.env, ...engine.env },
    terminal: {
      cols: 90,
      rows: 30,
      data: (_, bytes) => {
        shown += Buffer.from(bytes).toString("utf8")
      },
    },
  })
  return {
    child,
    shown: () => shown,
    /** Waits for text after what was sent last. */
    async sees(text: string) {
      await eventually(`${JSON.stringify(text)} in ${JSON.stringify(shown)}`, () =>
        shown.includes(text, sent),
      )
    },
    type(text: string) {
      sent = shown.length
      child.terminal?.write(text)
    },
    resize: (columns: number, rows: number) => child.terminal?.resize(columns, rows),
    code: () => child.exited,
  }
}

test("run -it: the size, what is typed, the exit code, no doubled carriage returns", async () => {
  const shell = play("run", "-it", "--rm", "busybox", "sh")
  await shell.sees("# ")
  shell.type("stty size; tty\n")
  await shell.sees("30 90\r\n/dev/pts/0\r\n")
  shell.resize(100, 40)
  await Bun.sleep(200)
  shell.type("stty size\n")
  await shell.sees("40 100")
  shell.type("exit 5\n")
  expect(await shell.code()).toBe(5)
  expect(shell.shown()).not.toContain("\r\r\n")
}, 30_000)

test("detach keys leave the container running; attach comes back and gives its exit code", async () => {
  const shell = play("run", "-it", "--name", "dt", "busybox", "sh")
  await shell.sees("# ")
  shell.type("\u0010\u0011")
  expect(await shell.code()).toBe(0)
  expect(await engine.ok("inspect", "-f", "{{.State.Running}}", "dt")).toBe("true")
  const again = play("attach", "--detach-keys", "ctrl-a", "dt")
  await again.sees("# ") // drawn again because attach changes the size for a moment
  again.type("\u0001")
  expect(await again.code()).toBe(1)
  expect(again.shown()).toContain("read escape sequence")
  const last = play("attach", "dt")
  await last.sees("# ")
  last.type("exit 3\n")
  expect(await last.code()).toBe(3)
  const restarted = play("start", "-ai", "dt")
  await restarted.sees("# ")
  restarted.type("exit 4\n")
  expect(await restarted.code()).toBe(4)
}, 30_000)

test("Ctrl-C and SIGTERM reach the process, with and without a terminal of its own", async () => {
  const trap = (signal: string) => [
    ...["busybox", "sh", "-c"],
    `trap 'echo got it; exit 9' ${signal}; echo ready; while :; do sleep 0.05; done`,
  ]
  for (const flags of [["--rm"], ["--rm", "-it"]]) {
    const interrupted = play("run", ...flags, ...trap("INT"))
    await interrupted.sees("ready")
    interrupted.type("\u0003")
    expect(await interrupted.code()).toBe(9)
    const ended = play("run", ...flags, ...trap("TERM"))
    await ended.sees("ready")
    ended.child.kill("SIGTERM")
    expect(await ended.code()).toBe(9)
    expect(ended.shown()).toContain("got it")
  }
}, 30_000)

test("exec -it: the size, the exit code, detach", async () => {
  await engine.ok("run", "-d", "--name", "cc", "busybox", "sleep", "1000")
  const shell = play("exec", "-it", "cc", "sh")
  await shell.sees("# ")
  shell.type("stty size; exit 4\n")
  await shell.sees("30 90")
  expect(await shell.code()).toBe(4)
  const left = play("exec", "-it", "cc", "sh")
  await left.sees("# ")
  left.type("\u0010\u0011")
  expect(await left.code()).toBe(1)
  expect(left.shown()).toEndWith("read escape sequence\r\n")
}, 30_000)

test("prune asks, and does nothing without a yes", async () => {
  await engine.ok("run", "--name", "old", "busybox", "true")
  const no = play("container", "prune")
  await no.sees("Are you sure you want to continue? [y/N] ")
  no.type("n\n")
  expect(await no.code()).toBe(0)
  expect(await engine.ok("ps", "-aq", "-f", "name=old")).not.toBe("")
  const yes = play("container", "prune")
  await yes.sees("[y/N] ")
  yes.type("y\n")
  expect(await yes.code()).toBe(0)
  expect(yes.shown()).toContain("Total reclaimed space:")
  expect(await engine.ok("ps", "-aq", "-f", "name=old")).toBe("")
}, 30_000)

test("long work tells its bytes on a terminal", async () => {
  const file = join(engine.work, "image.tar")
  const save = play("save", "-o", file, "busybox")
  expect(await save.code()).toBe(0)
  expect(save.shown()).toMatch(/^\r\u001b\[KSaving [\d.]+\wB?/)
  expect(save.shown()).toEndWith("\r\u001b[K")
  const load = play("load", "-i", file)
  expect(await load.code()).toBe(0)
  expect(load.shown()).toMatch(/Loading [\d.]+\w*B of [\d.]+MB/)
  expect(load.shown()).toContain("Loaded image: busybox:latest")
  const refused = play("save", "busybox")
  expect(await refused.code()).toBe(1)
  expect(refused.shown()).toBe("cowardly refusing to save to a terminal. Use the -o flag or redirect\r\n")
}, 30_000)
