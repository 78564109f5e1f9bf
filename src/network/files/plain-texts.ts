// The managed files of containers that are on no network of ours: "none" and "host".
import { readFileSync } from "node:fs"
import { failure } from "../../base/errors.ts"
import type { ContainerConfig } from "../../state/state.ts"
import { localHosts } from "./hosts.ts"

type Asked = Pick<ContainerConfig, "extraHosts" | "dns" | "dnsSearch" | "dnsOptions">

const hostText = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    // A host without the file gives its containers an empty one.
    return ""
  }
}

/** "name:ip" or "name=ip" → a line; host-gateway is this machine itself here. */
const extraLine = (entry: string): string => {
  const [, name = "", address = ""] = /^([^:=]+)[:=](.+)$/.exec(entry) ?? []
  if (name === "") throw failure("invalid", `bad format for add-host: ${JSON.stringify(entry)}`)
  return `${address === "host-gateway" ? "127.0.0.1" : address.replace(/^\[(.*)\]$/, "$1")}\t${name}`
}

const resolvConf = (config: Asked): string => {
  if (config.dns.length === 0 && config.dnsSearch.length === 0 && config.dnsOptions.length === 0) {
    return hostText("/etc/resolv.conf")
  }
  const host = hostText("/etc/resolv.conf").split("\n")
  const lines = (keyword: string, asked: readonly string[], each: boolean): string[] => {
    if (asked.length === 0) return host.filter((line) => line.startsWith(keyword))
    return each ? asked.map((word) => `${keyword} ${word}`) : [`${keyword} ${asked.join(" ")}`]
  }
  const search = config.dnsSearch.includes(".") ? [] : lines("search", config.dnsSearch, false)
  return `${[...lines("nameserver", config.dns, true), ...search, ...lines("options", config.dnsOptions, false)].join("\n")}\n`
}

/** Texts of /etc/hosts and /etc/resolv.conf. Throws invalid for an extra host that is none. */
export const plainTexts = (mode: "none" | "host", config: Asked): { hosts: string; resolvConf: string } => {
  const extra = config.extraHosts.map(extraLine)
  const base = mode === "host" ? hostText("/etc/hosts").replace(/\n*$/, "") : localHosts.join("\n")
  return { hosts: `${[base, ...extra].join("\n")}\n`, resolvConf: resolvConf(config) }
}
