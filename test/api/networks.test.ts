// Networks by the API itself: dockerode's calls, status codes, the shapes of each version.
import { afterAll, beforeAll, expect, test } from "bun:test"
import Docker from "dockerode"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"

let engine: TestEngine
let docker: Docker

beforeAll(async () => {
  engine = await startEngine()
  docker = new Docker({ socketPath: engine.socket })
}, 60_000)
afterAll(() => engine.close(), 60_000)

const call = async (
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; value: Record<string, unknown> }> => {
  const response = await fetch(`http://localhost${path}`, {
    unix: engine.socket,
    method,
    ...(body === undefined
      ? {}
      : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, value: text === "" ? {} : JSON.parse(text) }
}
const statusOf = async (...words: Parameters<typeof call>): Promise<number> => (await call(...words)).status

test("dockerode makes a network, puts a container on it and takes it off", async () => {
  const network = await docker.createNetwork({ Name: "byapi", Labels: { a: "b" }, CheckDuplicate: true })
  const container = await docker.createContainer({
    name: "guest",
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    NetworkingConfig: { EndpointsConfig: { byapi: { Aliases: ["first"] } } },
    HostConfig: { NetworkMode: "byapi" },
  })
  expect((await network.inspect()).Containers).toEqual({})
  await container.start()
  const members = (await network.inspect()).Containers
  expect(members?.[container.id]).toEqual({
    Name: "guest",
    EndpointID: expect.stringMatching(/^[0-9a-f]{64}$/),
    MacAddress: expect.stringMatching(/^[0-9a-f:]{17}$/),
    IPv4Address: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+\/16$/),
    IPv6Address: "",
  })
  await docker.getNetwork("bridge").connect({ Container: "guest" })
  const both = (await container.inspect()).NetworkSettings
  expect(Object.keys(both.Networks)).toEqual(["bridge", "byapi"])
  expect(both).toMatchObject({ IPAddress: both.Networks.bridge?.IPAddress ?? "none" })
  await network.disconnect({ Container: "guest" })
  expect(Object.keys((await container.inspect()).NetworkSettings.Networks)).toEqual(["bridge"])
  await network.remove()
  expect((await docker.listNetworks({ filters: { name: ["byapi"] } })).length).toBe(0)
  await container.remove({ force: true })
})

test("status codes are Docker's", async () => {
  await call("POST", "/networks/create", { Name: "codes" })
  await call("POST", "/containers/create?name=codes-one", { Image: "busybox", Cmd: ["sleep", "1000"] })
  await call("POST", "/containers/codes-one/start")
  const cases: [number, ...Parameters<typeof call>][] = [
    [409, "POST", "/networks/create", { Name: "codes" }],
    [403, "POST", "/networks/create", { Name: "host" }],
    [400, "POST", "/networks/create", { Name: "" }],
    [400, "POST", "/networks/create", { Name: "bad", IPAM: { Config: [{ Subnet: "10.0.0.1/24" }] } }],
    [403, "POST", "/networks/create", { Name: "bad", Ingress: true }],
    [404, "POST", "/networks/create", { Name: "bad", Driver: "nodriver" }],
    [404, "GET", "/networks/nope"],
    [404, "GET", "/networks/codes?scope=swarm"],
    [400, "GET", "/networks/codes?verbose=perhaps"],
    [200, "GET", "/networks/codes?verbose=true&scope=local"],
    [400, "GET", "/networks?filters=%7B%22type%22%3A%5B%22odd%22%5D%7D"],
    [404, "POST", "/networks/nope/connect", { Container: "codes-one" }],
    [404, "POST", "/networks/codes/connect", { Container: "nobody" }],
    [400, "POST", "/networks/host/connect", { Container: "codes-one" }],
    [200, "POST", "/networks/codes/connect", { Container: "codes-one", EndpointConfig: null }],
    [403, "POST", "/networks/codes/connect", { Container: "codes-one" }],
    [403, "DELETE", "/networks/codes"],
    [200, "POST", "/networks/codes/disconnect", { Container: "codes-one", Force: true }],
    [409, "POST", "/networks/codes/disconnect", { Container: "codes-one" }],
    [404, "POST", "/networks/codes/disconnect", { Container: "nobody", Force: true }],
    [404, "POST", "/networks/nope/disconnect", { Container: "codes-one" }],
    [204, "DELETE", "/networks/codes"],
    [404, "DELETE", "/networks/codes"],
    [403, "DELETE", "/networks/bridge"],
    [200, "POST", "/networks/prune"],
  ]
  for (const [status, ...words] of cases) expect([words, await statusOf(...words)]).toEqual([words, status])
  await call("DELETE", "/containers/codes-one?force=1")
})

test("a list tells of containers before 1.28 only", async () => {
  await call("POST", "/networks/create", { Name: "listed" })
  await call("POST", "/containers/create?name=member", {
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    HostConfig: { NetworkMode: "listed" },
  })
  await call("POST", "/containers/member/start")
  const members = async (version: string) => {
    const { value } = await call(
      "GET",
      `${version}/networks?filters=${encodeURIComponent('{"name":["listed"]}')}`,
    )
    return Object.values((value as unknown as { Containers: object }[])[0]?.Containers ?? {}).length
  }
  expect(await members("/v1.27")).toBe(1)
  expect(await members("/v1.28")).toBe(0)
  expect(await members("/v1.51")).toBe(0)
  const dangling = async (value: string) => {
    const filters = encodeURIComponent(JSON.stringify({ dangling: [value], type: ["custom"] }))
    const found = await call("GET", `/networks?filters=${filters}`)
    return (found.value as unknown as { Name: string }[]).map(({ Name }) => Name)
  }
  expect(await dangling("false")).toEqual(["listed"])
  expect(await dangling("true")).toEqual([])
  await call("DELETE", "/containers/member?force=1")
  expect(await dangling("true")).toEqual(["listed"])
  const pruned = await call("POST", "/networks/prune")
  expect(pruned.value).toEqual({ NetworksDeleted: ["listed"] })
  expect((await call("POST", "/networks/prune")).value).toEqual({ NetworksDeleted: null })
})

test("a network by the beginning of its id; two that begin alike are ambiguous", async () => {
  const { value } = await call("POST", "/networks/create", { Name: "by-id" })
  const id = String(value.Id)
  expect((await call("GET", `/networks/${id.slice(0, 12)}`)).value).toMatchObject({ Name: "by-id", Id: id })
  const created = await call("POST", "/containers/create?name=moded", {
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    HostConfig: { NetworkMode: id.slice(0, 20) },
  })
  expect(created.status).toBe(201)
  await call("POST", "/containers/moded/start")
  const shown = (await call("GET", "/containers/moded/json")).value as {
    HostConfig: { NetworkMode: string }
    NetworkSettings: { Networks: Record<string, { NetworkID: string }> }
  }
  expect(shown.HostConfig.NetworkMode).toBe(id)
  expect(shown.NetworkSettings.Networks["by-id"]?.NetworkID).toBe(id)
  await call("DELETE", "/containers/moded?force=1")
  await call("DELETE", `/networks/${id}`)
})
