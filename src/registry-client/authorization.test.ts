// Who gets our credentials: the registry that they are for and the token server that it names, and nobody else.
import { afterEach, beforeEach, expect, test } from "bun:test"
import type { IncomingMessage, ServerResponse } from "node:http"
import { type LyingRegistry, startLyingRegistry } from "../../test/fixtures/lying-registry.ts"
import { layerTar, makeImage } from "../../test/fixtures/remote-image.ts"
import { anonymous, type Credentials, openRegistries, type RegistryOptions } from "./registry-client.ts"

const account: Credentials = { ...anonymous, username: "someone", password: "p:w d" }
const basic = `Basic ${Buffer.from("someone:p:w d").toString("base64")}`
const image = makeImage({ layers: [await layerTar("a", "b")] })

let registry: LyingRegistry
let other: LyingRegistry
beforeEach(async () => {
  registry = await startLyingRegistry()
  other = await startLyingRegistry()
  registry.hold("app", "1", image)
})
afterEach(async () => {
  await registry.close()
  await other.close()
})

const registries = (options: Partial<RegistryOptions> = {}) =>
  openRegistries({
    mirrors: [],
    insecure: [],
    certificates: [],
    agent: "test",
    timing: { firstPause: 1, attempts: 3, answer: 1000, stall: 1000 },
    ...options,
  })
const repository = (credentials: Credentials, actions: "pull" | "pull,push" = "pull") =>
  registries().repository({ domain: registry.host, path: "app" }, { actions, credentials })

const isApi = (request: IncomingMessage) => request.url?.startsWith("/v2/app/") === true
const challenge = (response: ServerResponse, header: string) => {
  response.writeHead(401, { "WWW-Authenticate": header })
  response.end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] }))
  return true
}

/** Tokens "t1", "t2", … from `/token` of this registry; `life` in seconds. */
const tokenServer = (
  options: { life?: number; status?: number; valid?: (token: string) => boolean } = {},
) => {
  let issued = 0
  const asked: { method: string; url: URL; authorization: string | undefined; body: string }[] = []
  registry.lie = async (request, response) => {
    if (request.url?.startsWith("/token")) {
      asked.push({
        method: request.method ?? "",
        url: new URL(request.url, registry.origin),
        authorization: request.headers.authorization,
        body: "",
      })
      response.writeHead(options.status ?? 200)
      response.end(JSON.stringify({ token: `t${++issued}`, expires_in: options.life ?? 300 }))
      return true
    }
    const given = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1]
    if (!isApi(request) || (given !== undefined && (options.valid?.(given) ?? true))) return false
    return challenge(
      response,
      `Bearer realm="${registry.origin}/token",service="s",scope="repository:app:pull"`,
    )
  }
  return asked
}

test("basic: shown only when asked for, and not at all without an account", async () => {
  registry.lie = (request, response) =>
    isApi(request) && request.headers.authorization !== basic ? challenge(response, 'Basic realm="x"') : false
  expect((await repository(account).document("1")).digest).toBe(image.digest)
  expect(registry.asked(/manifests/).map(({ authorization }) => authorization)).toEqual([undefined, basic])
  await expect(repository(anonymous).document("1")).rejects.toThrow(
    /^unauthorized: authentication required: .*docker login/,
  )
  await expect(repository({ ...account, password: "x" }).document("1")).rejects.toMatchObject({
    kind: "forbidden",
  })
})

test("bearer: a token for this repository, kept while it lasts", async () => {
  const asked = tokenServer()
  const remote = repository(account)
  await remote.document("1")
  await remote.document("1")
  expect(asked).toHaveLength(1)
  expect(asked[0]?.authorization).toBe(basic)
  expect(asked[0]?.url.searchParams.getAll("scope")).toEqual(["repository:app:pull"])
  expect(asked[0]?.url.searchParams.get("service")).toBe("s")
  await repository(account, "pull,push").hasBlob(image.configDigest)
  expect(asked[1]?.url.searchParams.getAll("scope")).toContain("repository:app:pull,push")
  expect(
    registry.requests.some(({ url, authorization }) => url.startsWith("/v2/app") && authorization === basic),
  ).toBe(false)
})

test("bearer: anonymous tokens need no account", async () => {
  const asked = tokenServer()
  await repository(anonymous).document("1")
  expect(asked[0]?.authorization).toBeUndefined()
  expect(asked[0]?.url.searchParams.has("account")).toBe(false)
})

test("bearer: a token that is refused later is replaced, one that is refused at once is not asked for again", async () => {
  let revoked = ""
  const asked = tokenServer({ life: 20, valid: (token) => token !== revoked })
  const remote = repository(account)
  await remote.document("1")
  revoked = "t1"
  await Bun.sleep(5100)
  await remote.document("1")
  expect(asked).toHaveLength(2)
  tokenServer({ valid: () => false })
  await expect(repository(account).document("1")).rejects.toThrow(/unauthorized/)
}, 20_000)

test("bearer: what the registry token is, is sent as it is", async () => {
  const asked = tokenServer({ valid: (token) => token === "given" })
  await repository({ ...anonymous, registryToken: "given" }).document("1")
  expect(asked).toHaveLength(0)
})

test("an identity token is changed for an access token by POST", async () => {
  registry.lie = (request, response) => {
    if (request.url?.startsWith("/token")) {
      response.writeHead(200).end(JSON.stringify({ access_token: "fresh", expires_in: 300 }))
      return true
    }
    if (!isApi(request) || request.headers.authorization === "Bearer fresh") return false
    return challenge(response, `Bearer realm="${registry.origin}/token",service="s"`)
  }
  await repository({ ...anonymous, identityToken: "refresh" }).document("1")
  const [asked] = registry.asked(/ \/token/)
  expect(asked?.method).toBe("POST")
  expect(asked?.headers["content-type"]).toBe("application/x-www-form-urlencoded")
  expect(asked?.authorization).toBeUndefined()
})

test.each([
  ["file:///etc/passwd", "which is not HTTP"],
  ["not an address", "which is no address"],
  ["", "which is no address"],
  ["http://evil.example/token", "which is unprotected"],
  ["https://a:b@evil.example/token", "which brings credentials of its own"],
])("a realm of %p is refused before anything is sent", async (realm, why) => {
  registry.lie = (request, response) =>
    isApi(request) ? challenge(response, `Bearer realm="${realm}",service="s"`) : false
  await expect(repository(account).document("1")).rejects.toThrow(why)
})

test("a token server that sends clients on gets nothing followed", async () => {
  registry.lie = (request, response) => {
    if (request.url?.startsWith("/token")) {
      response.writeHead(307, { Location: `${other.origin}/token` }).end()
      return true
    }
    return isApi(request) ? challenge(response, `Bearer realm="${registry.origin}/token"`) : false
  }
  await expect(repository(account).document("1")).rejects.toThrow(/sends clients elsewhere/)
  expect(other.requests).toEqual([])
})

test.each([301, 302, 303, 307, 308])(
  "a redirect (%d) to another origin carries no credentials, there or back",
  async (status) => {
    const blob = image.layers[0] ?? ""
    const descriptor = {
      mediaType: "",
      digest: blob,
      size: image.blobs.get(blob)?.length ?? 0,
      annotations: {},
    }
    registry.lie = (request, response) => {
      if (request.url?.startsWith("/back")) {
        response.writeHead(200).end(image.blobs.get(blob))
        return true
      }
      if (isApi(request) && request.headers.authorization !== basic)
        return challenge(response, 'Basic realm="x"')
      if (request.url?.includes("/blobs/") !== true) return false
      response.writeHead(status, { Location: `${other.origin}/elsewhere` }).end()
      return true
    }
    other.lie = (_request, response) => {
      response.writeHead(307, { Location: `${registry.origin}/back` }).end()
      return true
    }
    let size = 0
    for await (const chunk of repository(account).blob(descriptor, 0)) size += chunk.length
    expect(size).toBe(descriptor.size)
    expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined])
    expect(registry.asked(/back/).map(({ authorization }) => authorization)).toEqual([undefined])
  },
)

test("a redirect that asks for credentials gets none", async () => {
  const blob = image.layers[0] ?? ""
  registry.lie = (request, response) => {
    if (isApi(request) && request.headers.authorization !== basic)
      return challenge(response, 'Basic realm="x"')
    if (request.url?.includes("/blobs/") !== true) return false
    response.writeHead(307, { Location: `${other.origin}/elsewhere` }).end()
    return true
  }
  other.lie = (_request, response) => challenge(response, 'Basic realm="x"')
  const descriptor = { mediaType: "", digest: blob, size: 10, annotations: {} }
  const read = async () => {
    for await (const _ of repository(account).blob(descriptor, 0));
  }
  await expect(read()).rejects.toThrow(/unauthorized/)
  expect(other.requests.every(({ authorization }) => authorization === undefined)).toBe(true)
})

test.each(["/loop", "ftp://x/y", "http://user:secret@127.0.0.1:1/"])(
  "a redirect to %s is refused",
  async (location) => {
    registry.lie = (request, response) => {
      if (!isApi(request) && request.url !== "/loop") return false
      response.writeHead(302, { Location: location }).end()
      return true
    }
    await expect(repository(anonymous).document("1")).rejects.toThrow(/redirects/)
  },
)

test("a mirror is asked first and without the registry's credentials; what it lacks comes from the registry", async () => {
  // Two mirrors: the first is ill, the second has the image and wants an account.
  other.lie = (_request, response) => {
    response.writeHead(404).end("nothing")
    return true
  }
  registry.hold("library/app", "1", image)
  const both = registries({ mirrors: [other.origin, registry.origin] })
  const remote = both.repository(
    { domain: "docker.io", path: "library/app" },
    { actions: "pull", credentials: account },
  )
  expect((await remote.document("1")).digest).toBe(image.digest)
  expect(other.requests.length).toBeGreaterThan(0)
  registry.lie = (_request, response) => challenge(response, 'Basic realm="x"')
  await remote.look("1").catch(() => undefined)
  for (const { authorization } of [...registry.requests, ...other.requests])
    expect(authorization).toBeUndefined()
}, 20_000)

test("login proves an account, by either way, and says no clearly", async () => {
  const host = registry.host
  expect(await registries().login(host, account)).toEqual({ identityToken: "" })
  registry.lie = (request, response) =>
    request.headers.authorization === basic ? false : challenge(response, 'Basic realm="x"')
  expect(await registries().login(host, account)).toEqual({ identityToken: "" })
  const wrong = registries().login(host, { ...account, password: "no" })
  await expect(wrong).rejects.toMatchObject({ kind: "unauthorized" })
  await expect(wrong).rejects.toThrow(`login attempt to ${registry.origin}/v2/ failed with status: 401`)
  registry.lie = (request, response) => {
    if (request.url?.startsWith("/token")) {
      const right = request.headers.authorization === basic
      response.writeHead(right ? 200 : 401)
      response.end(
        JSON.stringify(
          right ? { token: "t", refresh_token: "r" } : { details: "incorrect username or password" },
        ),
      )
      return true
    }
    if (request.headers.authorization === "Bearer t") return false
    return challenge(response, `Bearer realm="${registry.origin}/token",service="s"`)
  }
  expect(await registries().login(host, account)).toEqual({ identityToken: "r" })
  const refused = registries().login(host, { ...account, password: "no" })
  await expect(refused).rejects.toMatchObject({ kind: "unauthorized" })
  await expect(refused).rejects.toThrow(/unauthorized: .*incorrect username or password/)
})
