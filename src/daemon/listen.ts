// Opens the addresses that the daemon answers on: unix sockets for a group, TCP for this machine only.
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import type { Server } from "node:http"
import { connect } from "node:net"
import { dirname } from "node:path"
import { errorMessage, failure } from "../base/errors.ts"

export type Address =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  /** Sockets that systemd opened: all of them, or one. */
  | { readonly kind: "fd"; readonly descriptor?: number }

/** An address that is listened on here, not by systemd. */
export type OwnAddress = Exclude<Address, { kind: "fd" }>

/** "unix:///run/sloop/sloop.sock", "/run/sloop/sloop.sock", "tcp://127.0.0.1:2375" or "fd://". Throws invalid. */
export function parseAddress(text: string, tls = false): Address {
  const inherited = /^fd:\/\/(?:\*|(\d{1,4}))?$/.exec(text)
  if (inherited) return inherited[1] ? { kind: "fd", descriptor: Number(inherited[1]) } : { kind: "fd" }
  if (text.startsWith("unix://") || text.startsWith("/")) {
    const path = text.replace(/^unix:\/\//, "")
    if (!path.startsWith("/")) throw failure("invalid", `--host ${text}: a socket's path must be absolute`)
    if (Buffer.byteLength(path) > 107) {
      throw failure("invalid", `--host ${text}: a socket's path holds 107 bytes, choose a shorter one`)
    }
    return { kind: "unix", path }
  }
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:]+\]|[^:/]*)(?::(\d{1,5}))?\/?$/.exec(text)
  if (!tcp) throw failure("invalid", `--host ${text}: write unix:///PATH, tcp://ADDRESS:PORT or fd://`)
  const port = Number(tcp[2] ?? (tls ? 2376 : 2375))
  if (port > 65535) throw failure("invalid", `--host ${text}: a port is at most 65535`)
  return { kind: "tcp", host: (tcp[1] || "127.0.0.1").replace(/^\[|\]$/g, ""), port }
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

/** Refuses addresses beyond this machine, unless clients prove themselves: whoever reaches the API is root. Throws forbidden. */
export function requireLocal(address: Address, allowed: boolean): void {
  if (allowed || address.kind !== "tcp" || LOOPBACK.test(address.host)) return
  throw failure(
    "forbidden",
    `tcp://${address.host}:${address.port} would let other machines become root on this one: listen on 127.0.0.1, ask clients for certificates with --tlsverify, or insist with --allow-unprotected-tcp`,
  )
}

/** Resolves once the server listens on an address that was cleared. Throws unavailable. */
export async function listen(server: Server, address: OwnAddress): Promise<void> {
  const before = process.umask(0o117)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      const listening = () => {
        server.off("error", reject)
        resolve()
      }
      if (address.kind === "unix") server.listen(address.path, listening)
      else server.listen(address.port, address.host, listening)
    })
  } catch (cause) {
    throw failure("unavailable", `cannot listen on ${addressText(address)}: ${errorMessage(cause)}`, {
      cause,
    })
  } finally {
    process.umask(before)
  }
  if (address.kind === "unix") {
    chmodSync(address.path, 0o660)
    chownSync(address.path, 0, groupOf(["sloop", "docker"]) ?? 0)
  }
}

export function addressText(address: Address): string {
  switch (address.kind) {
    case "unix":
      return `unix://${address.path}`
    case "tcp":
      return `tcp://${address.host}:${address.port}`
    case "fd":
      return `fd://${address.descriptor ?? ""}`
  }
}

/** Makes way for a unix socket: one that nobody answers any more is removed. Throws conflict when somebody does. */
export async function clear(address: Address): Promise<void> {
  if (address.kind !== "unix") return
  const { path } = address
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 })
  if (!existsSync(path)) return
  if (!lstatSync(path).isSocket()) {
    throw failure(
      "conflict",
      `${path} is in the way: it is no socket, so it is not removed; choose another --host`,
    )
  }
  if (await answers(path)) {
    throw failure("conflict", `another daemon answers at unix://${path}: stop it, or choose another --host`)
  }
  rmSync(path, { force: true })
}

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path)
    probe.once("connect", () => {
      probe.destroy()
      resolve(true)
    })
    probe.once("error", () => resolve(false))
  })

/** Id of the first of these groups that exists. */
function groupOf(names: readonly string[]): number | undefined {
  const lines = existsSync("/etc/group") ? readFileSync("/etc/group", "utf8").split("\n") : []
  for (const name of names) {
    const line = lines.find((candidate) => candidate.startsWith(`${name}:`))
    const id = Number(line?.split(":")[2])
    if (Number.isInteger(id)) return id
  }
  return undefined
}
