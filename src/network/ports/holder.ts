// Which process of this host holds a port: found only when somebody has to be told.
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { isIPv4 } from "node:net"

/** A process that has a socket on a port. */
export interface PortHolder {
  readonly pid: number
  readonly name: string
}

const LISTENING = "0A"
const LOCAL_ADDRESS = 1
const STATE = 3
const INODE = 9

const hexOf = (address: string): string =>
  isIPv4(address)
    ? address
        .split(".")
        .reverse()
        .map((part) => Number(part).toString(16).padStart(2, "0"))
        .join("")
        .toUpperCase()
    : ""

/**
 * Inodes of sockets in a /proc/net/tcp or udp text that keep a port from being bound: those that listen (tcp), on the
 * address asked for or on every one. IPv6 addresses are not told apart.
 */
export const inodesAt = (table: string, protocol: string, address: string, port: number): Set<string> => {
  const found = new Set<string>()
  const wanted = hexOf(address)
  const isEvery = address === "" || address === "0.0.0.0" || address === "::"
  for (const line of table.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/)
    const [local = "", hexPort = ""] = (fields[LOCAL_ADDRESS] ?? "").split(":")
    if (Number.parseInt(hexPort, 16) !== port) continue
    if (protocol === "tcp" && fields[STATE] !== LISTENING) continue
    if (!isEvery && wanted !== "" && local.length === 8 && local !== wanted && !/^0+$/.test(local)) continue
    const inode = fields[INODE] ?? "0"
    if (inode !== "0") found.add(inode)
  }
  return found
}

const socketsOf = (pid: string): string[] => {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
      } catch {
        return [] // closed meanwhile
      }
    })
  } catch {
    return [] // the process has ended
  }
}

const readTable = (name: string): string => {
  try {
    return readFileSync(`/proc/net/${name}`, "latin1")
  } catch {
    return "" // IPv6 may be switched off
  }
}

/** The process that holds a port of this host; undefined when none is seen (it may be another namespace's, or be gone). */
export const holderOf = (protocol: string, address: string, port: number): PortHolder | undefined => {
  if (protocol !== "tcp" && protocol !== "udp") return undefined
  const inodes = new Set(
    [protocol, `${protocol}6`].flatMap((name) => [...inodesAt(readTable(name), protocol, address, port)]),
  )
  if (inodes.size === 0) return undefined
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid) || !socketsOf(pid).some((inode) => inodes.has(inode))) continue
    try {
      return { pid: Number(pid), name: readFileSync(`/proc/${pid}/comm`, "utf8").trim() }
    } catch {
      // It has ended since: another may have the socket too.
    }
  }
  return undefined
}
