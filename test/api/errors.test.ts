// Whatever a client sends, the answer is one sentence with the right status, and nothing changes.
import { expect, test } from "bun:test"
import { createFakeEngine } from "./fake-engine.ts"
import { serve } from "./serve.ts"

const message = async (response: Response): Promise<string> =>
  ((await response.json()) as { message: string }).message

test("versions outside 1.24 to 1.51 are refused in Docker's words", async () => {
  await using api = await serve(createFakeEngine())
  const tooNew = await api.request("GET", "/v1.99/version")
  expect(tooNew.status).toBe(400)
  expect(await message(tooNew)).toBe("client version 1.99 is too new. Maximum supported API version is 1.51")
  const tooOld = await api.request("GET", "/v1.12/version")
  expect(tooOld.status).toBe(400)
  expect(await message(tooOld)).toBe(
    "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
  )
  // Debian's skopeo speaks 1.22 only.
  for (const path of ["/v1.22/version", "/v1.24/version", "/v1.51/version", "/version"]) {
    expect((await api.request("GET", path)).status).toBe(200)
  }
})

test("unknown paths and methods are 404 with a message", async () => {
  await using api = await serve(createFakeEngine())
  for (const [method, path] of [
    ["GET", "/nope"],
    ["GET", "/v1.50"],
    ["GET", "/v1.50/"],
    ["PUT", "/containers/json"],
    ["GET", "/vx.y/containers/json"],
    ["GET", "//containers//json"],
    ["PATCH", "/info"],
  ] as const) {
    const response = await api.request(method, path)
    expect([path, response.status]).toEqual([path, 404])
    expect(await message(response)).toBe("page not found")
  }
})

test("every answer names API version, server and system", async () => {
  await using api = await serve(createFakeEngine())
  for (const path of ["/_ping", "/nope", "/v1.99/info"]) {
    const { headers } = await api.request("GET", path)
    expect(headers.get("api-version")).toBe("1.51")
    expect(headers.get("ostype")).toBe("linux")
    expect(headers.get("docker-experimental")).toBe("false")
    expect(headers.get("server")).toMatch(/^Sloop\/\d/)
  }
})

test("bodies that are no JSON, or not the JSON asked for, are 400", async () => {
  await using api = await serve(createFakeEngine())
  const bad: [body: string | undefined, expected: RegExp][] = [
    [undefined, /got EOF while reading request body/],
    ["", /got EOF while reading request body/],
    ["{", /invalid JSON/],
    ["[]", /invalid JSON/],
    ["null", /invalid JSON/],
    ['"x"', /invalid JSON/],
    ['{"Image":5}', /invalid JSON: Image /],
    ['{"Image":"busybox","HostConfig":{"Memory":"1g"}}', /invalid JSON: HostConfig\.Memory /],
    ['{"Image":"busybox","HostConfig":{"Memory":1.5}}', /HostConfig\.Memory must be a whole number/],
    ['{"Image":"busybox","Env":["A=\\u0000"]}', /Env\.0 must not contain NUL bytes/],
    ['{"Image":"busybox","HostConfig":{"PortBindings":{"80/tcp":7}}}', /PortBindings/],
    ["{}", /no image specified/],
  ]
  for (const [body, expected] of bad) {
    const response = await api.request("POST", "/containers/create", body, {
      "Content-Type": "application/json",
    })
    expect([body, response.status]).toEqual([body, 400])
    expect(await message(response)).toMatch(expected)
  }
  const form = await api.request("POST", "/containers/create", "a=b", {
    "Content-Type": "application/x-www-form-urlencoded",
  })
  expect(form.status).toBe(400)
  expect(await message(form)).toMatch(/must be 'application\/json'/)
})

test("a body over 4 MiB is refused and the server lives on", async () => {
  await using api = await serve(createFakeEngine())
  const response = await api.request("POST", "/containers/create", `{"Image":"${"x".repeat(5 << 20)}"}`)
  expect(response.status).toBe(400)
  expect(await message(response)).toMatch(/larger than 4 MiB/)
  expect((await api.request("GET", "/_ping")).status).toBe(200)
})

test("query values that are doubled or no numbers are 400", async () => {
  await using api = await serve(createFakeEngine())
  await api.request("POST", "/containers/create?name=web", { Image: "busybox" })
  const bad: [method: string, path: string, expected: RegExp][] = [
    ["POST", "/containers/web/stop?t=soon", /t="soon" is not a whole number/],
    ["POST", "/containers/web/stop?t=1&t=2", /t is given 2 times/],
    ["POST", "/containers/web/resize?h=NaN&w=10", /h="NaN" is not a whole number/],
    ["POST", "/containers/web/resize?h=-1&w=10", /h must be a number of characters/],
    ["POST", "/containers/web/resize", /h must be a number of characters/],
    ["POST", "/containers/web/wait?condition=never", /invalid condition: "never"/],
    ["POST", "/containers/web/rename", /Neither old nor new names may be empty/],
    ["GET", "/containers/web/logs", /you must choose at least one stream/],
    ["GET", "/containers/web/logs?stdout=1&since=yesterday", /since="yesterday" is not a time/],
    ["GET", "/containers/web/stats?stream=1&one-shot=1", /cannot have stream=true and one-shot=true/],
    ["GET", "/containers/web/archive", /path cannot be empty/],
    ["GET", "/containers/json?filters=x", /invalid filter/],
    ["GET", "/containers/json?filters=[]", /invalid filter/],
    ["GET", '/containers/json?filters={"colour":["red"]}', /invalid filter 'colour'/],
    ["GET", '/containers/json?filters={"name":[1]}', /its values must be texts/],
    ["GET", '/images/json?filters={"dangling":["maybe"]}', /invalid filter 'dangling=\[maybe\]'/],
    ["POST", '/containers/prune?filters={"until":["later"]}', /until=later/],
    ["POST", "/images/busybox/tag", /repo cannot be empty/],
    ["POST", "/images/create", /one of fromImage and fromSrc/],
    ["POST", "/images/create?fromSrc=ftp://x/y.tar", /write an http or https URL/],
    ["GET", "/images/get", /names cannot be empty/],
    ["GET", "/system/df?type=socks", /unknown object type: socks/],
    ["GET", "/containers/a%00b/json", /No such container|NUL|not found/],
  ]
  for (const [method, path, expected] of bad) {
    const response = await api.request(method, path)
    expect([path, response.status === 400 || response.status === 404]).toEqual([path, true])
    expect(await message(response)).toMatch(expected)
  }
})

test("kinds of failure keep their status", async () => {
  await using api = await serve(createFakeEngine())
  const created = await api.request("POST", "/containers/create?name=web", { Image: "busybox" })
  expect(created.status).toBe(201)
  const cases: [method: string, path: string, status: number, body?: unknown][] = [
    ["GET", "/containers/nope/json", 404],
    ["POST", "/containers/create?name=web", 409, { Image: "busybox" }],
    ["POST", "/containers/create", 404, { Image: "nope" }],
    ["POST", "/containers/web/stop", 304],
    ["POST", "/exec/nope/start", 404, {}],
    ["POST", "/containers/web/exec", 400, { Cmd: [] }],
    ["GET", "/networks/nope", 404],
    ["DELETE", "/networks/bridge", 403],
    ["POST", "/networks/create", 403, { Name: "bridge" }],
    ["GET", "/nodes", 503],
    ["POST", "/images/create?fromImage=absent&tag=1", 404],
    ["POST", "/session", 400],
    ["POST", "/grpc", 400],
    ["GET", "/distribution/127.0.0.1:1/busybox/json", 503],
    ["GET", "/distribution/Busybox/json", 400],
    ["POST", "/auth", 400],
    ["POST", "/auth", 503, { username: "a", password: "b", serveraddress: "127.0.0.1:1" }],
    ["POST", "/auth", 400, { serveraddress: "not an address" }],
    ["GET", "/images/search?term=", 400],
    ["GET", "/images/search?term=127.0.0.1:1/a", 503],
  ]
  for (const [method, path, status, body] of cases) {
    const response = await api.request(method, path, body)
    expect([path, response.status]).toEqual([path, status])
    const text = await response.text()
    if (status === 304) expect(text).toBe("")
    else expect((JSON.parse(text) as { message: string }).message).not.toBe("")
  }
})

test("bytes that are no HTTP get 400 and the server lives on", async () => {
  await using api = await serve(createFakeEngine())
  expect(await api.raw("hello\r\n\r\n")).toMatch(/^(HTTP\/1\.1 400|$)/)
  expect(await api.raw("GET /_ping HTTP/1.1\r\nContent-Length: -5\r\n\r\n")).toMatch(/^(HTTP\/1\.1 400|$)/)
  expect((await api.request("GET", "/_ping")).status).toBe(200)
})
