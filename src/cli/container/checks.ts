// What run and create refuse before they ask the daemon: each throws a short reason, told with the flag's name.
import { failure } from "../../base/errors.ts"
import { readMount } from "./mounts.ts"
import { readBytes, readDuration } from "./values.ts"

const bad = (message: string): never => {
  throw failure("invalid", message)
}

/** node:net knows too, but loading it takes 4 ms. */
function isAddress(value: string): boolean {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(value)
  if (four) return four.slice(1).every((part) => Number(part) < 256)
  return /^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(value) && URL.canParse(`http://[${value}]/`)
}

export const size = (value: string) => readBytes(value)
export const duration = (value: string) => readDuration(value)
export const mount = (value: string) => readMount(value)

export function variable(value: string): void {
  if (value === "" || value.startsWith("=")) bad(`invalid environment variable: ${value}`)
}

export function label(value: string): void {
  if (value === "" || value.startsWith("=")) bad(`invalid label '${value}': empty name`)
}

export function address(value: string): void {
  if (!isAddress(value)) bad(`IP address is not correctly formatted: ${value}`)
}

/** NAME:ADDRESS or NAME=ADDRESS. */
export function extraHost(value: string): void {
  const match = /^([^:=]+)[:=](.+)$/.exec(value)
  if (!match) bad(`bad format for add-host: "${value}"`)
  const given = match?.[2] ?? ""
  const ip = given.replace(/^\[(.*)\]$/, "$1")
  if (ip !== "host-gateway" && !isAddress(ip)) bad(`invalid IP address in add-host: "${given}"`)
}

const limits = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  ),
)

export function ulimit(value: string): void {
  const [name = "", given] = value.split("=")
  if (given === undefined || name === "") bad(`invalid ulimit argument: ${value}`)
  if (!limits.has(name)) bad(`invalid ulimit type: ${name}`)
  const parts = (given ?? "").split(":")
  if (parts.length > 2)
    bad(`too many limit value arguments - ${given}, can only have up to two, \`soft[:hard]\``)
  for (const part of parts)
    if (!/^-?\d+$/.test(part)) bad(`strconv.ParseInt: parsing "${part}": invalid syntax`)
  const [soft = 0, hard = soft] = parts.map(Number)
  if (hard !== -1 && (soft === -1 || soft > hard))
    bad(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`)
}

export function link(value: string): void {
  if (value === "") bad("empty string specified for links")
  if (value.split(":").length > 2) bad(`bad format for links: ${value}`)
}

export function cpus(value: string): void {
  if (!/^(\d+(\.\d*)?|\.\d+)$/.test(value)) bad(`failed to parse ${value} as a rational number`)
  if ((value.split(".")[1] ?? "").replace(/0+$/, "").length > 9) bad("value is too precise")
}

const namespacedSysctl =
  /^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+|net\..+)=/

export function sysctl(value: string): void {
  if (!namespacedSysctl.test(value)) bad(`sysctl '${value}' is not allowed`)
}

const split = (value: string): readonly [device: string, amount: string] => {
  const colon = value.indexOf(":")
  if (colon < 0) return bad(`bad format: ${value}`)
  if (!value.startsWith("/dev/")) return bad(`bad format for device path: ${value}`)
  return [value.slice(0, colon), value.slice(colon + 1)]
}

export function bytesRate(value: string): void {
  const [, rate] = split(value)
  if (!/^\d+(\.\d+)? ?[kmgtp]?i?b?$/i.test(rate))
    bad(
      `invalid rate for device: ${value}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
    )
}

export function operationsRate(value: string): void {
  const [, rate] = split(value)
  if (!/^\d+$/.test(rate))
    bad(
      `invalid rate for device: ${value}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    )
}

export function deviceWeight(value: string): void {
  const weight = Number(split(value)[1])
  if (!Number.isInteger(weight) || (weight !== 0 && (weight < 10 || weight > 1000)))
    bad(`invalid weight for device: ${value}`)
}

export function deviceRule(value: string): void {
  if (!/^[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}$/.test(value)) bad(`invalid device cgroup format '${value}'`)
}

export function stream(value: string): void {
  if (!["stdin", "stdout", "stderr"].includes(value.toLowerCase()))
    bad("valid streams are STDIN, STDOUT and STDERR")
}
