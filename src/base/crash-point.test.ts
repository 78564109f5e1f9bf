// The named step kills.
import { expect, test } from "bun:test"

test("the named step kills the process, others do not", async () => {
  const script = `import { crashPoint } from "${import.meta.dir}/crash-point.ts"
crashPoint("a"); console.log("one"); crashPoint("b"); console.log("two")`
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { ...process.env, SLOOP_CRASH_AT: "b" },
    stdout: "pipe",
  })
  expect(await new Response(child.stdout).text()).toBe("one\n")
  await child.exited
  expect(child.signalCode).toBe("SIGKILL")
})
