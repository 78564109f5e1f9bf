// One daemon per data root.
import { expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { lockDataRoot } from "./lock.ts"

test("a data root has one holder, and a killed one leaves it free", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sloop-lock-"))
  try {
    const module = JSON.stringify(join(import.meta.dir, "lock.ts"))
    const other = Bun.spawn(
      [
        process.execPath,
        "-e",
        `const { lockDataRoot } = await import(${module}); globalThis.held = lockDataRoot(${JSON.stringify(directory)}); console.log("held"); setInterval(() => {}, 1000)`,
      ],
      { stdout: "pipe" },
    )
    await other.stdout.getReader().read()
    expect(() => lockDataRoot(directory)).toThrow(
      new RegExp(`another Sloop daemon \\(process ${other.pid}\\) uses the data root`),
    )
    other.kill("SIGKILL")
    await other.exited
    lockDataRoot(directory).release()
    lockDataRoot(directory).release()
  } finally {
    rmSync(directory, { recursive: true })
  }
})
