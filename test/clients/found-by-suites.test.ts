// What the own test suites of docker-py and dockerode found here once, kept without those suites.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"

let engine: TestEngine
beforeAll(async () => {
  engine = await startEngine()
}, 60_000)
afterAll(() => engine?.close(), 60_000)

const ask = async (method: string, path: string, body?: unknown) => {
  const answer = await fetch(`http://engine/v1.47${path}`, {
    unix: engine.socket,
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  const text = bytes.toString("utf8")
  return { status: answer.status, bytes, json: text.startsWith("{") ? JSON.parse(text) : undefined }
}

test("an exec with a terminal sends frames to who does not ask for one at its start", async () => {
  const id = await engine.ok("run", "-d", "busybox", "sleep", "100")
  const made = await ask("POST", `/containers/${id}/exec`, {
    Cmd: ["echo", "hello"],
    Tty: true,
    AttachStdout: true,
  })
  const { bytes } = await ask("POST", `/exec/${made.json.Id}/start`, { Detach: false, Tty: false })
  expect([bytes[0], bytes.readUInt32BE(4), bytes.subarray(8).toString()]).toEqual([1, 7, "hello\r\n"])
  await engine.ok("rm", "-f", id)
})

test("what was asked for is shown as it was asked for", async () => {
  const { json: made } = await ask("POST", "/containers/create?name=shown", {
    Image: "busybox",
    HostConfig: {
      Isolation: "default",
      VolumeDriver: "local",
      LogConfig: { Type: "json-file", Config: { "max-file": "100" } },
    },
  })
  const { json } = await ask("GET", `/containers/${made.Id}/json`)
  expect(json.HostConfig).toMatchObject({
    Isolation: "default",
    VolumeDriver: "local",
    LogConfig: { Type: "json-file", Config: { "max-file": "100" } },
  })
  await ask("DELETE", `/containers/${made.Id}`)
})

test("a MAC address that was asked for is shown before the container runs", async () => {
  await ask("POST", "/networks/create", { Name: "macs" })
  const { json: made } = await ask("POST", "/containers/create", { Image: "busybox" })
  await ask("POST", "/networks/macs/connect", {
    Container: made.Id,
    EndpointConfig: { MacAddress: "02:42:ac:11:00:02" },
  })
  const { json } = await ask("GET", `/containers/${made.Id}/json`)
  expect(json.NetworkSettings.Networks.macs.MacAddress).toBe("02:42:ac:11:00:02")
  await ask("DELETE", `/containers/${made.Id}`)
  await ask("DELETE", "/networks/macs")
})

test("a link is removed by its name beneath the container's", async () => {
  await engine.ok("run", "-d", "--name", "linked", "busybox", "sleep", "100")
  await engine.ok("create", "--name", "linking", "--link", "linked:there", "busybox")
  expect((await ask("DELETE", "/containers/linking/there?link=true")).status).toBe(204)
  expect((await ask("GET", "/containers/linking/json")).json.HostConfig.Links).toBe(null)
  await engine.ok("rm", "-f", "linked", "linking")
})

test("networks may have spaces in their names, and nulls stay nulls", async () => {
  const pools = { Driver: "default", Config: [{ Subnet: "172.28.0.0/16" }] }
  expect((await ask("POST", "/networks/create", { Name: "test 01", IPAM: pools })).status).toBe(201)
  expect((await ask("GET", "/networks/test%2001")).json.IPAM.Options).toBe(null)
  expect((await ask("DELETE", "/networks/test%2001")).status).toBe(204)
  const made = await ask("POST", "/volumes/create", { Name: "unlabelled" })
  expect(made.json).toEqual((await ask("GET", "/volumes/unlabelled")).json)
  await ask("DELETE", "/volumes/unlabelled")
})
