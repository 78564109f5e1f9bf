// Where a container's lines go besides its file: what the options of each driver mean.
import { failure } from "../../base/errors.ts"

export type Place =
  | { readonly kind: "tcp" | "udp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }

export type SyslogFormat = "" | "rfc3164" | "rfc5424" | "rfc5424micro"

export type Target =
  | {
      readonly driver: "syslog"
      readonly place: Place
      readonly facility: number
      readonly format: SyslogFormat
      readonly tag: string
    }
  | { readonly driver: "fluentd"; readonly place: Place; readonly tag: string; readonly precise: boolean }
  | { readonly driver: "journald"; readonly place: Place; readonly tag: string }

const SHARED = [
  "labels",
  "labels-regex",
  "env",
  "env-regex",
  "tag",
  "mode",
  "max-buffer-size",
  "cache-disabled",
]
const OWN: Readonly<Record<Target["driver"], readonly string[]>> = {
  syslog: ["syslog-address", "syslog-facility", "syslog-format"],
  fluentd: [
    "fluentd-address",
    "fluentd-async",
    "fluentd-buffer-limit",
    "fluentd-retry-wait",
    "fluentd-max-retries",
    "fluentd-sub-second-precision",
  ],
  journald: [],
}
const FACILITIES = [
  ...["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"],
  ...["", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
]
const JOURNAL = "/run/systemd/journal/stdout"
const DEFAULT_TAG = "{{.ID}}"

/** Every driver; "none" keeps nothing, the last three send lines elsewhere besides. */
export const LOG_DRIVERS: readonly string[] = ["json-file", "local", "none", "fluentd", "journald", "syslog"]

/** Throws invalid for an option that the driver has not, or that means nothing. */
export function parseTarget(driver: string, options: Readonly<Record<string, string>>): Target | undefined {
  if (driver !== "syslog" && driver !== "fluentd" && driver !== "journald") return undefined
  for (const key of Object.keys(options)) {
    if (!SHARED.includes(key) && !OWN[driver].includes(key)) {
      throw failure("invalid", `unknown log opt '${key}' for ${driver} log driver`)
    }
  }
  const tag = options.tag || DEFAULT_TAG
  switch (driver) {
    case "journald":
      return { driver, tag, place: { kind: "unix", path: JOURNAL } }
    case "fluentd": {
      const place = parsePlace(options["fluentd-address"] ?? "", "fluentd-address", 24_224, ["tcp", "unix"])
      return { driver, tag, place, precise: options["fluentd-sub-second-precision"] === "true" }
    }
    case "syslog": {
      const address = options["syslog-address"]
      if (address === undefined) {
        throw failure(
          "invalid",
          "the syslog log driver needs syslog-address: udp://HOST:PORT, tcp://HOST:PORT or unix:///PATH of a stream socket",
        )
      }
      const place = parsePlace(address, "syslog-address", 514, ["udp", "tcp", "unix"])
      const format = options["syslog-format"] ?? ""
      if (format !== "" && format !== "rfc3164" && format !== "rfc5424" && format !== "rfc5424micro") {
        throw failure("invalid", `Invalid syslog format: ${format}: use rfc3164, rfc5424 or rfc5424micro`)
      }
      return { driver, tag, place, facility: parseFacility(options["syslog-facility"] ?? "daemon"), format }
    }
  }
}

function parseFacility(text: string): number {
  const known = FACILITIES.indexOf(text)
  const facility = known >= 0 && text !== "" ? known : /^\d{1,2}$/.test(text) ? Number(text) : 99
  if (facility > 23) throw failure("invalid", `invalid syslog facility: ${text}`)
  return facility
}

function parsePlace(text: string, option: string, port: number, kinds: readonly string[]): Place {
  const whole = text.includes("://") ? text : `tcp://${text}`
  const unix = /^unix:\/\/(\/.+)$/.exec(whole)
  if (unix?.[1] !== undefined) return { kind: "unix", path: unix[1] }
  const net = /^(tcp|udp):\/\/(\[[0-9a-fA-F:.]+\]|[^:/[\]]*)(?::(\d{1,5}))?\/?$/.exec(whole)
  const [, kind, host = "", given] = net ?? []
  if ((kind !== "tcp" && kind !== "udp") || !kinds.includes(kind) || Number(given ?? port) > 65_535) {
    throw failure(
      "invalid",
      `${option} ${JSON.stringify(text)} is not supported: write one of ${kinds.map((one) => `${one}://`).join(", ")}`,
    )
  }
  return { kind, host: host.replace(/^\[|\]$/g, "") || "127.0.0.1", port: Number(given ?? port) }
}
