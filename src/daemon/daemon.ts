// Door. The daemon's life: configuration, rooms, recovery, listening, and a calm end.
import { rmSync, writeFileSync } from "node:fs"
import type { Server } from "node:http"
import { createApiServer } from "../api/api.ts"
import { errorKind, errorMessage, failure } from "../base/errors.ts"
import { createLog, setLogLevel } from "../base/log.ts"
import { VERSION } from "../base/version.ts"
import { inheritedSockets, notifySystemd, type Relay, relay } from "./activation.ts"
import { type Composed, compose } from "./compose.ts"
import { type Configuration, configure, helpText } from "./configuration.ts"
import { becomeLean } from "./lean.ts"
import {
  type Address,
  addressText,
  clear,
  listen,
  type OwnAddress,
  parseAddress,
  requireLocal,
} from "./listen.ts"
import { lockDataRoot } from "./lock.ts"
import { readProtection } from "./protection.ts"
import { requireMachine } from "./requirements.ts"
import { createTrim } from "./trim.ts"

const log = createLog("daemon")

/** Most milliseconds that requests under way get to finish after a signal. */
const GRACE = 2000

/** Runs until a signal ends it. What stops it from starting is one sentence on stderr and an exit code. */
export async function runDaemon(argv: readonly string[]): Promise<void> {
  // Bun takes options and another main program from these; nothing that we start may see them.
  delete process.env.BUN_OPTIONS
  delete process.env.BUN_BE_BUN
  if (argv.includes("--help") || argv.includes("-h")) {
    process.stdout.write(helpText())
    return
  }
  becomeLean()
  try {
    await run(configure(argv))
  } catch (error) {
    process.stderr.write(`sloop daemon: ${errorMessage(error)}\n`)
    // 75 (try again): another daemon holds the data root; a command line that lost the race to start waits for it.
    process.exit(errorKind(error) === "conflict" ? 75 : 1)
  }
}

async function run(configuration: Configuration): Promise<void> {
  const started = performance.now()
  setLogLevel(configuration["log-level"] ?? "info")
  const protection = readProtection(configuration)
  const addresses = configuration.hosts.map((host) => parseAddress(host, protection !== undefined))
  const allowed = protection?.mutual || (configuration["allow-unprotected-tcp"] ?? false)
  for (const address of addresses) requireLocal(address, allowed)
  const sockets = openDoors(addresses, configuration.runRoot)
  requireMachine(configuration.dataRoot, configuration.runRoot)
  const lock = lockDataRoot(configuration.dataRoot)
  for (const address of sockets.own) await clear(address)
  surviveBugs()
  const composed = await compose(configuration)
  const servers: Server[] = []
  const trim = createTrim()
  trim.touch()
  try {
    for (const address of sockets.own) {
      const identity = address.kind === "tcp" ? protection?.identity : undefined
      const server = createApiServer(composed.engine, composed.builder, identity)
      server.on("connection", trim.touch)
      server.on("request", trim.touch)
      await listen(server, address)
      servers.push(server)
    }
    sockets.relay()
  } catch (error) {
    await composed.close({ stopContainers: false })
    throw error
  }
  if (configuration.pidfile !== undefined) writeFileSync(configuration.pidfile, `${process.pid}\n`)
  log.info("ready", {
    version: VERSION,
    hosts: addresses.map(addressText).join(","),
    dataRoot: configuration.dataRoot,
    milliseconds: Math.round(performance.now() - started),
  })
  void notifySystemd("READY=1")
  endOnSignal(async () => {
    void notifySystemd("STOPPING=1")
    sockets.stop()
    await stop(servers, composed, configuration)
    for (const address of sockets.own) if (address.kind === "unix") rmSync(address.path, { force: true })
    if (configuration.pidfile !== undefined) rmSync(configuration.pidfile, { force: true })
    lock.release()
  })
}

/** What is listened on here, and what only passes connections on to it: sockets of systemd's. */
function openDoors(addresses: readonly Address[], runRoot: string) {
  const own = addresses.filter((address): address is OwnAddress => address.kind !== "fd")
  const inherited = inheritedSockets()
  const descriptors = addresses.flatMap((address) =>
    address.kind !== "fd" ? [] : address.descriptor === undefined ? inherited : [address.descriptor],
  )
  if (
    descriptors.some((descriptor) => !inherited.includes(descriptor)) ||
    own.length + descriptors.length === 0
  ) {
    throw failure(
      "invalid",
      "--host fd:// takes sockets that systemd opened, and there are none: start by the socket unit, or give another --host",
    )
  }
  const path = `${runRoot}/activated.sock`
  const relays: Relay[] = []
  return {
    own: descriptors.length === 0 ? own : [...own, { kind: "unix", path } as const],
    relay: () => {
      for (const descriptor of new Set(descriptors)) relays.push(relay(descriptor, path))
    },
    stop: () => {
      for (const one of relays) one.stop()
    },
  }
}

async function stop(
  servers: readonly Server[],
  composed: Composed,
  configuration: Configuration,
): Promise<void> {
  const stopContainers = configuration["stop-containers-on-exit"] ?? false
  const closed = Promise.all(
    servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
  )
  for (const server of servers) server.closeIdleConnections()
  const grace = new Promise<void>((resolve) => setTimeout(resolve, stopContainers ? 0 : GRACE))
  const streams = setTimeout(() => closeAll(servers), 100)
  await Promise.race([closed, grace])
  clearTimeout(streams)
  await composed.close({ stopContainers })
  closeAll(servers)
}

function closeAll(servers: readonly Server[]): void {
  for (const server of servers) server.closeAllConnections()
}

/** The first signal ends the daemon calmly, the second at once. */
function endOnSignal(end: () => Promise<void>): void {
  let ending = false
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (ending) process.exit(1)
      ending = true
      log.info("stopping", { signal })
      end().then(
        () => {
          log.info("stopped")
          process.exit(0)
        },
        (error: unknown) => {
          log.error("stopping failed", { error: errorMessage(error) })
          process.exit(1)
        },
      )
    })
  }
  process.on("SIGHUP", () => log.info("SIGHUP is ignored: restart the daemon for a new configuration"))
  process.on("SIGPIPE", () => {})
}

/** A bug in one request must not end the engine of all others; every state write is complete by itself. */
function surviveBugs(): void {
  const told = (what: string) => (error: unknown) =>
    log.error(what, { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  process.on("uncaughtException", told("an exception was not caught"))
  process.on("unhandledRejection", told("a rejection was not handled"))
}
