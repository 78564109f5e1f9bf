// Bytes verified while they stream.
import { expect, test } from "bun:test"
import { digestOf, meter, verified } from "./digest-stream.ts"

const text = Buffer.from("hello")
const digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
async function* chunks() {
  yield text.subarray(0, 2)
  yield text.subarray(2)
}
const read = async (source: AsyncIterable<Uint8Array>) => {
  let size = 0
  for await (const chunk of source) size += chunk.length
  return size
}

test("digest and size", () => {
  expect(digestOf(text)).toBe(digest)
  const measure = meter()
  measure.add(text)
  expect(measure.finish()).toEqual({ digest, size: 5 })
})

test("right bytes pass, wrong ones fail at their end, too many at once", async () => {
  expect(await read(verified(chunks(), { digest, size: 5 }, "it"))).toBe(5)
  await expect(read(verified(chunks(), { size: 6 }, "the layer"))).rejects.toThrow(
    "the layer has 5 bytes, but 6",
  )
  await expect(read(verified(chunks(), { size: 1 }, "the layer"))).rejects.toThrow("longer than the 1 bytes")
  await expect(read(verified(chunks(), { digest: `sha256:${"0".repeat(64)}` }, "the layer"))).rejects.toThrow(
    `the layer has the digest ${digest}`,
  )
})
