import { expect, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { serveAgent } from "./ssh-agent.ts"

const asked = (path: string, words: string): Promise<string> =>
  new Promise((resolve) => {
    let heard = ""
    const socket = connect(path, () => socket.write(words))
    socket.on("data", (bytes) => {
      heard += bytes.toString()
      socket.end()
    })
    socket.on("close", () => resolve(heard))
    socket.on("error", () => undefined)
  })

test("each connection reaches the client's agent, and the socket goes", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sloop-ssh-"))
  const ids: string[] = []
  const agent = await serveAgent(
    async (id) => {
      ids.push(id)
      return new PassThrough()
    },
    "default",
    join(directory, "s"),
  )
  expect(await Promise.all([asked(agent.path, "one"), asked(agent.path, "two")])).toEqual(["one", "two"])
  expect(ids).toEqual(["default", "default"])
  agent.close()
  expect(existsSync(agent.path)).toBe(false)
  rmSync(directory, { recursive: true })
})

test("without an agent a connection ends", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sloop-ssh-"))
  const agent = await serveAgent(() => Promise.resolve(undefined), "default", directory)
  expect(await asked(agent.path, "x")).toBe("")
  agent.close()
  rmSync(directory, { recursive: true })
})
