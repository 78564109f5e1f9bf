// IPv4, IPv6 and hardware addresses as the bytes that netlink carries.
import { isIPv4, isIPv6 } from "node:net"
import { failure } from "../../base/errors.ts"

export const FAMILY_IPV4 = 2
export const FAMILY_IPV6 = 10

/** Address text to 4 or 16 bytes. Throws Failure "invalid". */
export const ipBytes = (address: string): Buffer => {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number))
  if (!isIPv6(address) || address.includes("%"))
    throw failure("invalid", `invalid IP address: ${JSON.stringify(address)}`)
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const plain = dotted
    ? `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`
    : address
  const [head = "", tail] = plain.split("::")
  const left = head === "" ? [] : head.split(":")
  const right = tail === undefined || tail === "" ? [] : tail.split(":")
  const words = [...left, ...Array(8 - left.length - right.length).fill("0"), ...right]
  const out = Buffer.alloc(16)
  words.forEach((word, index) => {
    out.writeUInt16BE(Number.parseInt(word, 16), index * 2)
  })
  return out
}

/** 4 or 16 bytes to text (IPv6 with its longest run of zeros shortened). */
export const ipText = (bytes: Uint8Array): string => {
  if (bytes.length === 4) return Array.from(bytes).join(".")
  const words = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  )
  const runs = words.join(":").match(/(?:^|:)0(?::0)+(?=:|$)/g) ?? []
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), "")
  if (longest === "") return words.join(":")
  const at = words.join(":").indexOf(longest)
  const all = words.join(":")
  return `${all.slice(0, at)}::${all.slice(at + longest.length).replace(/^:/, "")}`
}

/** "02:42:ac:11:00:02" to six bytes. Throws Failure "invalid". */
export const macBytes = (address: string): Buffer => {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(address))
    throw failure("invalid", `invalid MAC address: ${JSON.stringify(address)}`)
  return Buffer.from(address.replaceAll(":", ""), "hex")
}

export const macText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":")

export const familyOf = (address: string): number => (isIPv4(address) ? FAMILY_IPV4 : FAMILY_IPV6)
