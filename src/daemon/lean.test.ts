// The daemon starts over once, keeps its pid and its arguments, and hands its settings to nobody.
import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

test("a process becomes lean once, as the same process with the same words", async () => {
  const directory = mkdtempSync(join(tmpdir(), "lean-"))
  const script = join(directory, "script.ts")
  writeFileSync(
    script,
    `import { becomeLean } from ${JSON.stringify(join(import.meta.dir, "lean.ts"))}
const given = process.env.BUN_JSC_forceRAMSize
console.log("began")
becomeLean()
console.log(JSON.stringify({ pid: process.pid, words: process.argv.slice(2), given, left: process.env.BUN_JSC_forceRAMSize }))
`,
  )
  try {
    const child = Bun.spawn([process.execPath, script, "--one", "two words"], {
      env: {
        ...process.env,
        BUN_JSC_forceRAMSize: undefined,
        BUN_JSC_useFTLJIT: undefined,
        BUN_JSC_jitPolicyScale: undefined,
      },
    })
    const lines = (await new Response(child.stdout).text()).trim().split("\n")
    expect(lines.slice(0, 2)).toEqual(["began", "began"])
    expect(JSON.parse(lines[2] ?? "")).toEqual({
      pid: child.pid,
      words: ["--one", "two words"],
      given: "100000000",
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
