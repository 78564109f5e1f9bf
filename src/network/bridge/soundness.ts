// Whether a bridge is still as it was made, as far as a look at /proc and /sys can tell: it costs each join microseconds.
import { closeSync, openSync, readFileSync, readSync } from "node:fs"
import { ipBytes } from "../../kernel/netlink/netlink.ts"
import { type Cidr, parseCidr } from "../ipam/cidr.ts"

/** Bytes of the routing table that are looked at, 128 for each route: hosts with more routes are not looked at. */
const MOST = 64 << 10
const buffer = Buffer.alloc(MOST)

/** The table as text; undefined when it is too long to be read each time. */
const routes = (): string | undefined => {
  const file = openSync("/proc/net/route", "r")
  try {
    let filled = 0
    for (;;) {
      const count = readSync(file, buffer, filled, MOST - filled, null)
      if (count === 0) return buffer.toString("latin1", 0, filled)
      filled += count
      if (filled === MOST) return undefined
    }
  } finally {
    closeSync(file)
  }
}

/** As the kernel writes an IPv4 block's first address there: eight digits, the last byte first. */
const reversed = ({ base }: Cidr): string =>
  (base.toString(16).padStart(8, "0").match(/../g) ?? []).reverse().join("").toUpperCase()

/**
 * False when the bridge is down or lacks one of its addresses (for IPv4: the route that comes with it). `addresses` are
 * those that it must have.
 */
export const isSoundBridge = (
  name: string,
  addresses: readonly { readonly address: string; readonly prefixLength: number }[],
): boolean => {
  if ((Number(readFileSync(`/sys/class/net/${name}/flags`, "latin1")) & 1) === 0) return false
  const four = addresses.filter(({ address, prefixLength }) => !address.includes(":") && prefixLength < 32)
  const six = addresses.filter(({ address }) => address.includes(":"))
  const table = four.length > 0 ? routes() : undefined
  if (table !== undefined)
    for (const { address, prefixLength } of four)
      if (!table.includes(`\n${name}\t${reversed(parseCidr(`${address}/${prefixLength}`))}\t`)) return false
  if (six.length === 0) return true
  const lines = readFileSync("/proc/net/if_inet6", "latin1").split("\n")
  return six.every(({ address }) => {
    const digits = ipBytes(address).toString("hex")
    return lines.some((line) => line.startsWith(digits) && line.endsWith(` ${name}`))
  })
}
