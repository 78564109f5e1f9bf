// POST /build?version=2, docker's BuildKit before buildx, spoken by hand: session, upload, progress in lines, failures.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { StatusResponse } from "../../src/wire/buildkit/control.ts"
import { BUILT_ID } from "../api/fake-builder.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { type Served, serve } from "../api/serve.ts"
import { openSession } from "./client.ts"
import { createReadingBuilder } from "./reading-builder.ts"
import { file, offeredFiles } from "./session-services.ts"

const { builder, seen } = createReadingBuilder()
let api: Served

beforeAll(async () => {
  api = await serve(createFakeEngine(), builder)
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
})

interface Line {
  readonly id?: string
  readonly aux?: unknown
  readonly stream?: string
  readonly error?: string
}

async function build(query: Readonly<Record<string, string>>): Promise<Line[]> {
  const response = await api.request(
    "POST",
    `/v1.41/build?${new URLSearchParams({ version: "2", ...query })}`,
  )
  const text = await response.text()
  return text
    .trim()
    .split("\r\n")
    .map((line) => JSON.parse(line) as Line)
}

test("a build over a session tells its progress, its image and, when quiet, its id", async () => {
  const socket = await openSession(
    api.socket,
    "over",
    offeredFiles({ dockerfile: [file("Other", "# say words\n")], context: [] }),
    "key",
  )
  const lines = await build({
    session: "over",
    remote: "client-session",
    dockerfile: "Other",
    q: "1",
    t: "x:1",
    nocache: "1",
    target: "final",
    networkmode: "none",
    buildargs: JSON.stringify({ A: "1", B: null }),
    labels: JSON.stringify({ l: "2" }),
    ulimits: JSON.stringify([{ Name: "nofile", Soft: 1, Hard: 2 }]),
    extrahosts: "h:1.2.3.4",
    cachefrom: JSON.stringify(["r.test/c"]),
  })
  const told = lines
    .filter(({ id }) => id === "moby.buildkit.trace")
    .map(({ aux }) => StatusResponse.decode(Buffer.from(String(aux), "base64")))
  expect(told.flatMap(({ logs }) => logs.map(({ msg }) => Buffer.from(msg).toString()))).toEqual(["words\n"])
  expect(lines).toContainEqual({ id: "moby.image.id", aux: { ID: BUILT_ID } })
  expect(lines.at(-1)).toEqual({ stream: `${BUILT_ID}\n` })
  const asked = seen.requests.at(-1)
  expect(asked).toMatchObject({
    target: "final",
    noCache: true,
    network: "none",
    extraHosts: ["h:1.2.3.4"],
    ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
    cacheFrom: [{ type: "registry" }],
    buildArgs: new Map([["A", "1"]]),
  })
  expect(seen.exports.at(-1)?.exports[0]?.attributes.get("name")).toBe("docker.io/library/x:1")
  const failing = await build({ session: "over", remote: "client-session", dockerfile: "absent" })
  expect(failing.at(-1)?.error).toContain("failed to read dockerfile")
  socket.destroy()
})

test("a context that another request uploads", async () => {
  const building = build({ buildid: "one", remote: "upload-request" })
  const upload = await api.request("POST", "/v1.41/build?version=2&buildid=upload-request%3Aone", "archive", {
    "Content-Type": "application/x-tar",
  })
  expect(upload.status).toBe(200)
  expect((await building).at(-1)).toEqual({ id: "moby.image.id", aux: { ID: BUILT_ID } })
  expect(seen.files).toEqual([expect.objectContaining({ path: "(tar)", content: "archive" })])
})

test("what makes no sense is refused before anything begins", async () => {
  const refused = async (query: Record<string, string>) => {
    const response = await api.request("POST", `/build?${new URLSearchParams({ version: "2", ...query })}`)
    return [response.status, ((await response.json()) as { message: string }).message]
  }
  expect(await refused({ networkmode: "mine" })).toEqual([
    400,
    expect.stringContaining("not supported by buildkit"),
  ])
  expect(await refused({ outputs: "[{},{}]" })).toEqual([400, "multiple outputs not supported"])
  expect(await refused({ buildargs: "{" })).toEqual([400, expect.stringContaining("build args")])
  expect(await refused({ ulimits: "[1]" })).toEqual([400, expect.stringContaining("ulimit")])
  expect(await refused({ cachefrom: "{}" })).toEqual([400, expect.stringContaining("cachefrom")])
  expect(await refused({ buildid: "upload-request:" })).toEqual([
    400,
    expect.stringContaining("id of its build"),
  ])
})
