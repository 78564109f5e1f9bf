// What sloop has and docker lacks: why a container ended, where a start's time went, a live view of all.
import { afterAll, expect, test } from "bun:test"
import { startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)

test("why tells a missing program, memory that ran out and an exit code with the last lines", async () => {
  await engine.sloop("run", "--name", "lost", "busybox", "nosuch")
  await engine.sloop("run", "--name", "full", "-m", "10m", "busybox", "tail", "/dev/zero")
  await engine.sloop("run", "--name", "bad", "busybox", "sh", "-c", "echo oh no; exit 3")
  const { code, stdout, stderr } = await engine.sloop("why", "lost", "full", "bad", "nobody")
  expect(stdout).toContain('The program "nosuch" is in none of the directories of the container\'s PATH.')
  expect(stdout).toContain("more memory than its limit of 10 MiB")
  expect(stdout).toMatch(/bad ended with code 3 after [\d.]+ s: sh -c echo oh no; exit 3\n/)
  expect(stdout).toContain("Its last words:\n    oh no\n")
  expect(stderr).toContain("No such container: nobody")
  expect(code).toBe(1)
}, 30_000)

test("run --timing tells each step on standard error and keeps the exit code", async () => {
  const { code, stdout, stderr } = await engine.sloop(
    "run",
    "--timing",
    "--rm",
    "busybox",
    "sh",
    "-c",
    "echo a; exit 4",
  )
  expect([code, stdout]).toEqual([4, "a\n"])
  const steps = stderr
    .trim()
    .split("\n")
    .map((line) => line.slice(0, 13).trim())
  expect(steps).toEqual(["client", "create", "attach", "start", "first output", "exit", "total"])
}, 30_000)

test("top without a name shows every container, with one its processes", async () => {
  await engine.sloop("run", "-d", "--name", "busy", "busybox", "sleep", "1234")
  const all = await engine.sloop("top", "-a", "--no-stream")
  expect(all.stdout).toMatch(/busy +running +[\d.]+% /)
  expect(all.stdout).toMatch(/ {4}\d+ +root .* sleep 1234\n/)
  expect(all.stdout).toMatch(/bad +exited +- /)
  const one = await engine.sloop("top", "busy")
  expect(one.stdout).toStartWith("UID ")
}, 30_000)
