// A registry with a data directory of its own: listens, collects by the clock or when asked, ends calmly.
import { existsSync, mkdirSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { connect } from "node:net"
import { join } from "node:path"
import { errorMessage, failure } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import { openContent } from "../content/content.ts"
import { openState } from "../state/state.ts"
import { Exchange } from "./exchange.ts"
import {
  type Collected,
  type CollectOptions,
  openRegistry,
  type Registry,
  type RegistryOptions,
} from "./registry-server.ts"

const log = createLog("registry")

export interface StandaloneOptions extends Omit<RegistryOptions, "state" | "content" | "uploads" | "owner"> {
  readonly dataRoot: string
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
  /** Milliseconds between collections; 0 = only when asked. */
  readonly collectEvery: number
  readonly collect: CollectOptions
}

export interface Standalone {
  readonly port: number
  close(): Promise<void>
}

/** The socket at which the server of a data directory takes requests to collect. */
export const controlSocket = (dataRoot: string): string => join(dataRoot, "control.sock")

const listening = (server: Server, where: { path: string } | { host: string; port: number }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(where, () => {
      server.off("error", reject)
      resolve()
    })
  })

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path)
    probe.once("connect", () => {
      probe.destroy()
      resolve(true)
    })
    probe.once("error", () => resolve(false))
  })

/** Asks for a collection over HTTP on the control socket, as `sloop registry collect` does. */
const createControl = (registry: Registry, usual: CollectOptions): Server =>
  createServer((request, response) => {
    const exchange = new Exchange(request, response)
    if (exchange.method !== "POST" || exchange.path !== "/collect") {
      exchange.empty(404)
      return
    }
    const grace = exchange.query.get("grace")
    const options = {
      untagged: exchange.query.get("untagged") === "1" || usual.untagged,
      grace: grace === null ? usual.grace : Number(grace),
    }
    registry.collect(options).then(
      (collected) => exchange.json(collected),
      (error: unknown) =>
        exchange.bytes(
          500,
          "application/json",
          Buffer.from(JSON.stringify({ message: errorMessage(error) })),
        ),
    )
  })

interface Opened {
  readonly registry: Registry
  close(): Promise<void>
}

/** The registry of a data directory that nobody else may have open. */
const openDirectory = async (
  options: Omit<RegistryOptions, "state" | "content" | "uploads">,
  dataRoot: string,
): Promise<Opened> => {
  mkdirSync(dataRoot, { recursive: true, mode: 0o700 })
  const state = openState(join(dataRoot, "state.db"))
  const content = await openContent(join(dataRoot, "content"))
  const registry = openRegistry({ ...options, state, content, uploads: join(dataRoot, "content", "uploads") })
  await registry.recover()
  return {
    registry,
    async close() {
      await registry.close()
      state.close()
    },
  }
}

/** Serves until closed. Throws conflict when the directory is served already, unavailable when the address is taken. */
export const serveRegistry = async (options: StandaloneOptions): Promise<Standalone> => {
  const { dataRoot, host, port } = options
  const socket = controlSocket(dataRoot)
  if (existsSync(socket)) {
    if (await answers(socket))
      throw failure("conflict", `another registry serves ${dataRoot}: stop it, or choose another --data-root`)
    rmSync(socket, { force: true })
  }
  const opened = await openDirectory(options, dataRoot)
  const { registry } = opened
  const server = registry.createServer()
  const control = createControl(registry, options.collect)
  try {
    await listening(server, { host, port })
    await listening(control, { path: socket })
  } catch (cause) {
    server.close()
    await opened.close()
    throw failure("unavailable", `the registry cannot listen on ${host}:${port}: ${errorMessage(cause)}`, {
      cause,
    })
  }
  const timer =
    options.collectEvery === 0
      ? undefined
      : setInterval(() => {
          registry.collect(options.collect).then(
            ({ blobs, manifests, bytes }) => {
              if (blobs + manifests > 0) log.info("collected", { blobs, manifests, bytes })
            },
            (error: unknown) => log.warn("could not collect", { error: errorMessage(error) }),
          )
        }, options.collectEvery)
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      clearInterval(timer)
      server.close()
      server.closeAllConnections()
      control.close()
      rmSync(socket, { force: true })
      await opened.close()
    },
  }
}

/** Collects once in a directory that nobody serves. */
export const collectOnce = async (dataRoot: string, options: CollectOptions): Promise<Collected> => {
  const opened = await openDirectory({ readOnly: true }, dataRoot)
  try {
    return await opened.registry.collect(options)
  } finally {
    await opened.close()
  }
}
