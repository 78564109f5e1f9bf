// sloop logs
import { failure } from "../../../base/errors.ts"
import { writeStreams } from "../../container/streams.ts"
import { readDuration } from "../../container/values.ts"
import type { Verb } from "../../verb.ts"

/** A time as typed (RFC 3339, unix seconds, or a duration ago) into unix seconds. */
export function readTime(name: "since" | "until", value: string | undefined): string | undefined {
  if (value === undefined || /^\d+(\.\d+)?$/.test(value)) return value
  if (/^\d+(\.\d+)?(ns|us|µs|ms|s|m|h)/.test(value))
    return String((Date.now() - readDuration(value) / 1e6) / 1000)
  const time = Date.parse(/^\d{4}-\d\d-\d\d$/.test(value) ? `${value}T00:00:00` : value)
  if (Number.isNaN(time))
    throw failure(
      "invalid",
      `invalid value for "${name}": failed to parse value as time or duration: "${value}"`,
    )
  return String(time / 1000)
}

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Fetch the logs of a container",
  flags: [
    { name: "details", kind: "bool", summary: "Show extra details provided to logs" },
    { name: "follow", short: "f", kind: "bool", summary: "Follow log output" },
    {
      name: "since",
      kind: "string",
      value: "string",
      summary:
        'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    },
    { name: "until", kind: "string", value: "string", summary: "Show logs before a timestamp or relative" },
    {
      name: "tail",
      short: "n",
      kind: "string",
      value: "string",
      default: "all",
      summary: "Number of lines to show from the end of the logs",
    },
    { name: "timestamps", short: "t", kind: "bool", summary: "Show timestamps" },
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const { client } = context
    const path = `/containers/${encodeURIComponent(parsed.arguments[0] ?? "")}`
    const { Config } = await client.json<{ Config: { Tty: boolean } }>("GET", `${path}/json`)
    const query = {
      stdout: true,
      stderr: true,
      details: parsed.bool("details"),
      follow: parsed.bool("follow"),
      timestamps: parsed.bool("timestamps"),
      tail: parsed.string("tail"),
      since: readTime("since", parsed.string("since")),
      until: readTime("until", parsed.string("until")),
    }
    const { body } = await client.send("GET", `${path}/logs`, { query })
    await writeStreams(context, body, { tty: Config.Tty })
    return 0
  },
}
