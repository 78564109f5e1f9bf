// Ports of EXPOSE: "80", "8000-8010/udp", and the forms with a host's part that Docker still reads.
import { isIP } from "node:net"
import { failure } from "../../base/errors.ts"

const invalid = (message: string) => failure("invalid", message)

const range = (text: string): readonly [first: number, last: number] | undefined => {
  const match = /^\+?([0-9]+)(?:-\+?([0-9]+))?$/.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2] ?? first)
  return first <= last && last <= 65_535 ? [first, last] : undefined
}

/** "8000-8001/udp" → ["8000/udp", "8001/udp"]. Throws invalid with Docker's words. */
export const exposedPorts = (word: string): string[] => {
  const parts = word.split(":")
  const container = parts.at(-1) ?? ""
  const [numbers = "", given = ""] = container.split(/\/(.*)/s)
  if (numbers === "") throw invalid(`no port specified: ${word}<empty>`)
  const protocol = (given === "" ? "tcp" : given).toLowerCase()
  if (!["tcp", "udp", "sctp"].includes(protocol)) throw invalid(`invalid proto: ${protocol}`)
  const address = parts
    .slice(0, -2)
    .join(":")
    .replace(/^\[(.*)\]$/, "$1")
  if (address !== "" && isIP(address) === 0) throw invalid(`invalid IP address: ${address}`)
  const ports = range(numbers)
  if (ports === undefined) throw invalid(`invalid containerPort: ${numbers}`)
  const [first, last] = ports
  const host = parts.length > 1 ? (parts.at(-2) ?? "") : ""
  if (host !== "") {
    const hostPorts = range(host)
    if (hostPorts === undefined) throw invalid(`invalid hostPort: ${host}`)
    if (first !== last && last - first !== hostPorts[1] - hostPorts[0])
      throw invalid(`invalid ranges specified for container and host Ports: ${numbers} and ${host}`)
  }
  return Array.from({ length: last - first + 1 }, (_, step) => `${first + step}/${protocol}`)
}
