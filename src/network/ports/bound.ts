// Whether somebody on this host has bound a port already: tried for tcp, read from /proc/net for udp.
import { readFileSync } from "node:fs"
import { ipBytes } from "../../kernel/netlink/netlink.ts"

/** Why a port cannot be had: a sentence's end as the kernel words it; undefined = it is free. */
export type BoundTest = (protocol: string, address: string, port: number) => string | undefined

interface UdpSocket {
  /** As /proc writes it: hex words in the machine's byte order. */
  readonly address: string
  readonly port: number
}

/** Sockets of a /proc/net/udp or udp6 text. */
export const parseUdpTable = (table: string): UdpSocket[] =>
  table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [address = "", port = ""] = (line.trim().split(/\s+/)[1] ?? "").split(":")
      return port === "" ? [] : [{ address, port: Number.parseInt(port, 16) }]
    })

/** An address as /proc writes it: words of four bytes, each in the machine's byte order. */
const hexOf = (address: string): string =>
  Buffer.from(ipBytes(address)).swap32().toString("hex").toUpperCase()
const EVERY4 = "00000000"
const EVERY6 = "0".repeat(32)

/** Whether one of the sockets keeps `address` ("0.0.0.0" and "::" = every one) from being bound at that port. */
export const isUdpBound = (sockets: readonly UdpSocket[], address: string, port: number): boolean => {
  const wanted = hexOf(address)
  const isEvery = wanted === EVERY4 || wanted === EVERY6
  return sockets.some(
    (socket) =>
      socket.port === port &&
      // A socket on :: may take IPv4's port too.
      (socket.address === EVERY6 ||
        (socket.address.length === wanted.length &&
          (isEvery || socket.address === EVERY4 || socket.address === wanted))),
  )
}

const readUdp = (): UdpSocket[] =>
  ["udp", "udp6"].flatMap((name) => {
    try {
      return parseUdpTable(readFileSync(`/proc/net/${name}`, "latin1"))
    } catch {
      return [] // IPv6 may be switched off
    }
  })

/**
 * Listening for an instant costs microseconds and sees what a list of listeners does not show (sockets that are only
 * bound, local ports of open connections); reading /proc/net/tcp walks the kernel's whole table, milliseconds.
 * `exclusive` keeps Bun from sharing the port.
 */
const tryListening = (hostname: string, port: number): string | undefined => {
  try {
    // Bun heeds ipv6Only, though its types have it elsewhere only: IPv4's port is asked for by itself.
    const options = { hostname, port, exclusive: true, ipv6Only: true, socket: { data() {} } }
    Bun.listen(options).stop(true)
    return undefined
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : ""
    if (code === "EADDRNOTAVAIL") return "cannot assign requested address"
    // Whatever else hinders a trial is for the real reservation to say.
    return code === "EADDRINUSE" ? "address already in use" : undefined
  }
}

/** A test that reads what it needs once; use a new one for each request. */
export const boundTest = (): BoundTest => {
  let udp: UdpSocket[] | undefined
  return (protocol, address, port) => {
    if (protocol === "tcp") return tryListening(address, port)
    if (protocol !== "udp") return undefined
    udp ??= readUdp()
    return isUdpBound(udp, address, port) ? "address already in use" : undefined
  }
}
