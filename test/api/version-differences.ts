// What the API's versions differ in, each with a look that tells the new form from the old; docs/compatibility.md is made of it.
import type { FakeEngine } from "./fake-engine.ts"
import type { Served } from "./serve.ts"

/** An API over a fake engine, asked in one version. */
export interface Asked {
  readonly engine: FakeEngine
  readonly api: Served
  /** The answer's JSON. */
  get(path: string): Promise<Record<string, unknown>>
  /** Status and text. */
  send(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }>
  /** The head of an answer to a request that upgrades. */
  upgrade(method: string, path: string, to: string): Promise<string>
}

export interface Difference {
  readonly method: string
  readonly path: string
  /** Minor version from which on the new form is given. */
  readonly since: number
  readonly what: string
  /** Whether the answer has the new form. */
  readonly isNew: (asked: Asked) => Promise<boolean>
}

const lacks =
  (path: string, ...keys: string[]): Difference["isNew"] =>
  async ({ get }) => {
    let value: unknown = await get(path)
    for (const key of keys.slice(0, -1)) value = (value as Record<string, unknown>)[key]
    return !Object.hasOwn(value as object, keys.at(-1) ?? "")
  }
const not =
  (look: Difference["isNew"]): Difference["isNew"] =>
  async (asked) =>
    !(await look(asked))

/** Creates a container named "web"; the answer's text, with the status before it. */
const create = async ({ send }: Asked, body: Readonly<Record<string, unknown>> = {}): Promise<string> => {
  const { status, text } = await send("POST", "/containers/create?name=web", { Image: "busybox", ...body })
  return `${status} ${text}`
}

const withWeb =
  (look: Difference["isNew"], body?: Readonly<Record<string, unknown>>): Difference["isNew"] =>
  async (asked) => {
    await create(asked, body)
    return look(asked)
  }

const endpoints = (EndpointsConfig: Readonly<Record<string, unknown>>) => ({
  NetworkingConfig: { EndpointsConfig },
})
const MAC = "02:42:ac:11:00:09"
const upgrade =
  (method: string, path: string, to = "tcp"): Difference["isNew"] =>
  async (asked) =>
    (await asked.upgrade(method, path, to)).includes("multiplexed-stream")

const group = (
  method: string,
  path: string,
  ...list: readonly (readonly [since: number, what: string, isNew: Difference["isNew"]])[]
): Difference[] => list.map(([since, what, isNew]) => ({ method, path, since, what, isNew }))

export const differences: readonly Difference[] = [
  ...group(
    "GET",
    "/info",
    [25, "`ExecutionDriver` is gone", lacks("/info", "ExecutionDriver")],
    [
      25,
      "`SecurityOptions` are `name=…`, with more keys after commas",
      async ({ get }) => (await get("/info")).SecurityOptions?.toString().includes("name=") === true,
    ],
    [42, "`KernelMemory` is gone", lacks("/info", "KernelMemory")],
    [
      47,
      "`AllowNondistributableArtifacts…` are gone",
      lacks("/info", "RegistryConfig", "AllowNondistributableArtifactsCIDRs"),
    ],
    [49, "`Expected` is gone from the commits", lacks("/info", "RuncCommit", "Expected")],
    [49, "`FirewallBackend` tells what makes the rules", not(lacks("/info", "FirewallBackend"))],
    [50, "`BridgeNfIptables` and `BridgeNfIp6tables` are gone", lacks("/info", "BridgeNfIptables")],
  ),
  ...group(
    "GET",
    "/system/df",
    [
      42,
      "`type` chooses what is told",
      async ({ get }) => (await get("/system/df?type=volume")).Images === undefined,
    ],
    [42, "`BuilderSize` is gone", lacks("/system/df", "BuilderSize")],
    [
      42,
      "what a record of the build cache is made of is `Parents`, no longer one `Parent`",
      async ({ get }) => {
        const [record] = (await get("/system/df")).BuildCache as Record<string, unknown>[]
        return record !== undefined && !Object.hasOwn(record, "Parent")
      },
    ],
  ),
  ...group(
    "POST",
    "/containers/create",
    [
      44,
      "a container may be created on several networks",
      async (asked) => (await create(asked, endpoints({ bridge: {}, other: {} }))).startsWith("201"),
    ],
    [
      44,
      "`MacAddress` of the container works with a warning: it belongs to an endpoint",
      async (asked) => (await create(asked, { MacAddress: MAC })).includes("deprecated"),
    ],
    [
      44,
      "`MacAddress` of an endpoint counts",
      async (asked) => {
        await create(asked, endpoints({ bridge: { MacAddress: MAC } }))
        return JSON.stringify(asked.engine.lastCreate()).includes(MAC)
      },
    ],
    [
      48,
      "sysctls of one interface are refused: they belong to an endpoint's options",
      async (asked) =>
        (
          await create(asked, { HostConfig: { Sysctls: { "net.ipv4.conf.eth0.forwarding": "1" } } })
        ).startsWith("400"),
    ],
    [
      48,
      "`GwPriority` of an endpoint counts",
      async (asked) => {
        await create(asked, endpoints({ bridge: { GwPriority: 7 } }))
        return JSON.stringify(asked.engine.lastCreate()).includes('"gatewayPriority":7')
      },
    ],
  ),
  ...group(
    "GET",
    "/containers/{id}/json",
    [
      42,
      "`KernelMemory` and `KernelMemoryTCP` are gone",
      withWeb(lacks("/containers/web/json", "HostConfig", "KernelMemory")),
    ],
    [
      44,
      "`Config.MacAddress` is gone",
      withWeb(lacks("/containers/web/json", "Config", "MacAddress"), { MacAddress: MAC }),
    ],
    [
      45,
      "`Aliases` are those asked for; all names are `DNSNames`",
      withWeb(
        async ({ get }) => {
          const { Networks } = (await get("/containers/web/json")).NetworkSettings as {
            Networks: Record<string, { Aliases: string[] | null }>
          }
          return Networks.own?.Aliases?.join() === "shop"
        },
        { HostConfig: { NetworkMode: "own" }, ...endpoints({ own: { Aliases: ["shop"] } }) },
      ),
    ],
  ),
  ...["stop", "restart"].flatMap((verb) =>
    group("POST", `/containers/{id}/${verb}`, [
      42,
      "`signal` chooses the signal",
      withWeb(async ({ engine, send }) => {
        let signal: string | undefined
        const containers = engine.containers as { stop: unknown; restart: unknown }
        containers[verb as "stop"] = async (_: string, options: { signal?: string }) => {
          signal = options.signal
        }
        await send("POST", `/containers/web/${verb}?signal=SIGINT`)
        return signal === "SIGINT"
      }),
    ]),
  ),
  ...group("POST", "/containers/{id}/attach", [
    42,
    "a stream without a terminal is named `multiplexed-stream`",
    withWeb(upgrade("POST", "/containers/web/attach?stream=1&stdout=1")),
  ]),
  ...group(
    "GET",
    "/containers/{id}/attach/ws",
    [
      28,
      "frames are binary, no longer text",
      withWeb(
        async ({ engine, upgrade: open }) => {
          setTimeout(() => {
            for (const stream of engine.attached) stream.write("said")
          }, 20)
          const [, frames = ""] = (
            await open("GET", "/containers/web/attach/ws?stream=1&stdout=1", "websocket")
          ).split("\r\n\r\n")
          return frames.startsWith("\x82")
        },
        { Tty: true },
      ),
    ],
    [
      42,
      "`stdin`, `stdout` and `stderr` choose the streams, of which there were always three",
      withWeb(async ({ engine, upgrade: open }) => {
        let stderr = true
        const attach = engine.containers.attach
        Object.assign(engine.containers, {
          attach: (id: string, options: Parameters<typeof attach>[1]) => {
            stderr = options.stderr
            return attach(id, options)
          },
        })
        await open("GET", "/containers/web/attach/ws?stream=1&stdout=1", "websocket")
        return !stderr
      }),
    ],
  ),
  ...group("GET", "/containers/{id}/logs", [
    42,
    "a stream without a terminal is named `multiplexed-stream`",
    withWeb(upgrade("GET", "/containers/web/logs?stdout=1", "")),
  ]),
  ...group("POST", "/exec/{id}/start", [
    42,
    "a stream without a terminal is named `multiplexed-stream`",
    withWeb(async (asked) => {
      const { text } = await asked.send("POST", "/containers/web/exec", { Cmd: ["true"], AttachStdin: true })
      const { Id } = JSON.parse(text) as { Id: string }
      return (await asked.upgrade("POST", `/exec/${Id}/start`, "tcp")).includes("multiplexed-stream")
    }),
  ]),
  ...group(
    "GET",
    "/images/json",
    [
      43,
      "an image without a name has no `RepoTags`, where it had `<none>:<none>`",
      async ({ engine, get }) => {
        const list = engine.images.list
        Object.assign(engine.images, {
          list: async () => (await list()).map((image) => ({ ...image, tags: [], digests: [] })),
        })
        return !JSON.stringify(await get("/images/json")).includes("<none>")
      },
    ],
    [44, "`VirtualSize` is gone", lacks("/images/json", "0", "VirtualSize")],
  ),
  ...group(
    "GET",
    "/images/{name}/json",
    [44, "`VirtualSize` is gone", lacks("/images/busybox/json", "VirtualSize")],
    [45, "`Container` and `ContainerConfig` are gone", lacks("/images/busybox/json", "Container")],
    [
      50,
      "what only containers have is gone from `Config`",
      lacks("/images/busybox/json", "Config", "Hostname"),
    ],
  ),
  ...group("POST", "/volumes/prune", [
    42,
    "only volumes without a name of their own go, unless `all` is asked for",
    async ({ engine, send }) => {
      let all: boolean | undefined
      engine.pruneVolumes = async (criteria) => {
        all = criteria.all
        return { removed: [], reclaimed: 0 }
      }
      await send("POST", "/volumes/prune")
      return all === false
    },
  ]),
  ...group("GET", "/networks", [
    28,
    "a list no longer tells of containers",
    withWeb(async ({ engine, get }) => {
      const list = engine.containers.list
      let asked = false
      Object.assign(engine.containers, {
        list: (...options: Parameters<typeof list>) => {
          asked = true
          return list(...options)
        },
      })
      await get("/networks")
      return !asked
    }),
  ]),
  ...group("POST", "/networks/create", [
    48,
    "`EnableIPv4` may be false",
    async ({ engine, send }) => {
      let ipv4: boolean | undefined
      const make = engine.createNetwork
      engine.createNetwork = (request) => {
        ipv4 = request.ipv4
        return make(request)
      }
      await send("POST", "/networks/create", { Name: "own", EnableIPv4: false })
      return ipv4 === false
    },
  ]),
  ...group("POST", "/networks/{id}/connect", [
    48,
    "`GwPriority` counts",
    withWeb(async ({ engine, send }) => {
      let priority: number | undefined
      Object.assign(engine.containers, {
        connect: async (_: string, request: { gatewayPriority?: number }) => {
          priority = request.gatewayPriority
        },
      })
      await send("POST", "/networks/bridge/connect", { Container: "web", EndpointConfig: { GwPriority: 7 } })
      return priority === 7
    }),
  ]),
]
