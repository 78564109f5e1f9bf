// Each difference between versions of the API is there: the old form in the version before, the new one from it on.
import { expect, test } from "bun:test"
import { MIN_API_VERSION } from "../../src/api/api.ts"
import type { Builder } from "../../src/build/build.ts"
import { createFakeBuilder } from "./fake-builder.ts"
import { createFakeEngine } from "./fake-engine.ts"
import { serve } from "./serve.ts"
import { type Asked, type Difference, differences } from "./version-differences.ts"

const withCache = (): Builder => ({
  ...createFakeBuilder(),
  usage: async () => [
    {
      id: "record",
      parents: ["one", "two"],
      kind: "regular",
      description: "",
      inUse: false,
      shared: false,
      size: 1,
      createdAt: 0,
      usedAt: 0,
      uses: 1,
    },
  ],
})

async function isNew({ isNew: look }: Difference, minor: number): Promise<boolean> {
  const engine = createFakeEngine()
  await using api = await serve(engine, withCache())
  const prefix = `/v1.${minor}`
  const asked: Asked = {
    engine,
    api,
    get: async (path) => (await (await api.request("GET", prefix + path)).json()) as Record<string, unknown>,
    async send(method, path, body) {
      const answer = await api.request(method, prefix + path, body)
      return { status: answer.status, text: await answer.text() }
    },
    async upgrade(method, path, to) {
      const more =
        to === "websocket"
          ? "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
          : ""
      const switching = to === "" ? "" : `Connection: Upgrade\r\nUpgrade: ${to}\r\n${more}`
      const length = method === "GET" ? "" : "Content-Type: application/json\r\nContent-Length: 2\r\n"
      const client = api.open(
        `${method} ${prefix}${path} HTTP/1.1\r\nHost: d\r\n${switching}${length}\r\n${length && "{}"}`,
      )
      let text = ""
      client.on("data", (chunk) => {
        text += chunk.toString("latin1")
      })
      await Bun.sleep(60)
      client.destroy()
      return text
    },
  }
  return await look(asked)
}

for (const difference of differences) {
  const { method, path, since, what } = difference
  test(`${method} ${path} from 1.${since} on: ${what}`, async () => {
    expect(since).toBeGreaterThan(Number(MIN_API_VERSION.split(".")[1]))
    expect([await isNew(difference, since - 1), await isNew(difference, since)]).toEqual([false, true])
  })
}
