// The duplex that is handed out before its process exists.
import { expect, test } from "bun:test"
import { PassThrough } from "node:stream"
import { DetachScanner } from "./detach-keys.ts"
import { LateStream } from "./late-stream.ts"

/** A process's two directions: what is written to `target` is kept, what is pushed into `output` comes out. */
const fakeTarget = () => {
  const target = new PassThrough()
  return target
}
const gathered = async (stream: LateStream): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

test("what was written and ended before the connection arrives after it", async () => {
  const stream = new LateStream()
  stream.write("one ")
  stream.write("two")
  stream.end()
  await Bun.sleep(1)
  // A PassThrough echoes: its output is its input.
  stream.connect(fakeTarget())
  expect(await gathered(stream)).toBe("one two")
})

test("a finished stream ends, takes input without complaint, and closes a late target", async () => {
  const stream = new LateStream()
  stream.write("lost")
  stream.finish()
  stream.write("too")
  const target = fakeTarget()
  stream.connect(target)
  expect(target.destroyed).toBe(true)
  expect(await gathered(stream)).toBe("")
})

test("destroying the client's side closes the target", async () => {
  const stream = new LateStream()
  const target = fakeTarget()
  stream.connect(target)
  stream.destroy()
  await Bun.sleep(1)
  expect(target.destroyed).toBe(true)
})

test("a reader that stalls stalls the source", async () => {
  const stream = new LateStream()
  const target = new PassThrough()
  stream.connect(target)
  let written = 0
  for (; written < 1000; written++) {
    if (!target.write(Buffer.alloc(64 << 10))) {
      await Bun.sleep(1)
      if (target.writableNeedDrain) break
    }
  }
  expect(written).toBeLessThan(100)
  target.end()
  let bytes = 0
  for await (const chunk of stream) bytes += chunk.length
  expect(bytes).toBe((written + 1) * (64 << 10))
})

test("the detach sequence ends the stream and not the process", async () => {
  let detached = false
  const stream = new LateStream({
    scanner: new DetachScanner([16, 17]),
    onDetach: () => {
      detached = true
    },
  })
  const target = fakeTarget()
  stream.connect(target)
  stream.write("ls\n")
  stream.write(Buffer.of(16, 17))
  await gathered(stream)
  expect(detached).toBe(true)
})
