import { expect, test } from "bun:test"
import { counted } from "./progress.ts"

async function* source() {
  for (let index = 0; index < 3; index++) yield new Uint8Array(1_000_000)
}

async function run(isTTY: boolean, quiet = false) {
  let told = ""
  const err = {
    isTTY,
    rows: 24,
    columns: 80,
    write: (text: string | Uint8Array) => {
      told += text
      return undefined
    },
    settled: () => Promise.resolve(),
  }
  let bytes = 0
  for await (const chunk of counted(err, "Loading", source(), { total: 3_000_000, quiet }))
    bytes += chunk.length
  return { told, bytes }
}

test("a terminal sees bytes so far, and a clean line at the end", async () => {
  const { told, bytes } = await run(true)
  expect(bytes).toBe(3_000_000)
  expect(told).toStartWith("\r\u001b[KLoading 1MB of 3MB")
  expect(told).toEndWith("\r\u001b[K")
})

test("files, pipes and the quiet see nothing", async () => {
  expect((await run(false)).told).toBe("")
  expect((await run(true, true)).told).toBe("")
})
