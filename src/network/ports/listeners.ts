// Which ports of this host somebody has bound already, as /proc/net tells.
import { readFileSync } from "node:fs"

const TCP_LISTEN = "0A"

/** Local addresses (hex words as /proc/net writes them) and ports of one table's text. */
const bound = (table: string, listening: boolean): { any: boolean; port: number; address: string }[] =>
  table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/)
      const [address = "", port = ""] = (fields[1] ?? "").split(":")
      if (port === "" || (listening && fields[3] !== TCP_LISTEN)) return []
      return [{ any: /^0+$/.test(address), port: Number.parseInt(port, 16), address }]
    })

const kernelHex = (address: string): string =>
  address
    .split(".")
    .reverse()
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("")
    .toUpperCase()

/**
 * A snapshot of bound ports. `root` is /proc/net, or a directory with files of its format. Sockets that are bound but
 * do not listen (tcp) are not seen; the monitor's own reservation finds those.
 */
export const readListeners = (
  root = "/proc/net",
): ((protocol: string, address: string, port: number) => boolean) => {
  const tables = new Map<string, { any: boolean; port: number; address: string }[]>()
  const load = (protocol: string): { any: boolean; port: number; address: string }[] => {
    const known = tables.get(protocol)
    if (known) return known
    const found = [protocol, `${protocol}6`].flatMap((name) => {
      try {
        return bound(readFileSync(`${root}/${name}`, "latin1"), protocol === "tcp")
      } catch {
        return [] // sctp, or IPv6 switched off
      }
    })
    tables.set(protocol, found)
    return found
  }
  return (protocol, address, port) => {
    const every = address === "" || address === "0.0.0.0"
    const hex = every ? "" : kernelHex(address)
    // An IPv6 socket on :: takes IPv4's port too (unless it is V6ONLY, which /proc does not tell).
    return load(protocol).some(
      (entry) =>
        entry.port === port && (entry.any || (every && entry.address.length === 8) || entry.address === hex),
    )
  }
}
