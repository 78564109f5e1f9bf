// Lines as the receivers of each driver read them: syslog's texts, fluentd's MessagePack, the journal's lines.
import type { LogEntry } from "../logs.ts"
import type { SyslogFormat, Target } from "./target.ts"

/** What a line is labelled with. */
export interface Origin {
  readonly id: string
  readonly name: string
  readonly imageId: string
  readonly imageName: string
  readonly host: string
  /** Labels and variables that the options name. */
  readonly attributes: Readonly<Record<string, string>>
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
const INFORMATION = 6
const FAILURE = 3

/** Docker's template of a tag, of which these fields are known. */
export function tagText(template: string, origin: Origin): string {
  const short = (id: string) => id.replace(/^sha256:/, "").slice(0, 12)
  const fields: Readonly<Record<string, string>> = {
    ID: short(origin.id),
    FullID: origin.id,
    Name: origin.name,
    ImageID: short(origin.imageId),
    ImageFullID: origin.imageId,
    ImageName: origin.imageName,
    DaemonName: "sloop",
  }
  return template.replace(/\{\{\s*\.(\w+)\s*\}\}/g, (whole, field: string) => fields[field] ?? whole)
}

/** The line without its end. */
export function content({ line }: LogEntry): Buffer {
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.length)
  return bytes.at(-1) === 10 ? bytes.subarray(0, bytes.length - (bytes.at(-2) === 13 ? 2 : 1)) : bytes
}

const priority = (entry: LogEntry): number => (entry.stream === "stderr" ? FAILURE : INFORMATION)

/** One message of syslog, ended by a line feed where it is sent on a stream. */
export function syslogLine(entry: LogEntry, target: Target & { driver: "syslog" }, origin: Origin): Buffer {
  const tag = tagText(target.tag, origin)
  const head = syslogHead(target.format, target.facility * 8 + priority(entry), entry, tag, origin.host)
  return Buffer.concat([
    Buffer.from(head),
    content(entry),
    ...(target.place.kind === "udp" ? [] : [Buffer.from("\n")]),
  ])
}

function syslogHead(
  format: SyslogFormat,
  level: number,
  { time }: LogEntry,
  tag: string,
  host: string,
): string {
  const at = new Date(time)
  const two = (value: number) => String(value).padStart(2, "0")
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":")
  const stamp = `${MONTHS[at.getMonth()]} ${String(at.getDate()).padStart(2, " ")} ${clock}`
  switch (format) {
    case "":
      return `<${level}>${stamp} ${tag}[${process.pid}]: `
    case "rfc3164":
      return `<${level}>${stamp} ${host} ${tag}[${process.pid}]: `
    case "rfc5424":
      return `<${level}>1 ${time.slice(0, 19)}Z ${host} ${tag} ${process.pid} ${tag} - `
    case "rfc5424micro": {
      const fraction = (/\.(\d+)/.exec(time)?.[1] ?? "").padEnd(6, "0").slice(0, 6)
      return `<${level}>1 ${time.slice(0, 19)}.${fraction}Z ${host} ${tag} ${process.pid} ${tag} - `
    }
  }
}

/** An event of the forward protocol: [tag, time, record] in MessagePack. */
export function fluentdEvent(
  entry: LogEntry,
  target: Target & { driver: "fluentd" },
  origin: Origin,
): Buffer {
  const record: Record<string, string | Buffer> = {
    ...origin.attributes,
    container_id: origin.id,
    container_name: `/${origin.name}`,
    source: entry.stream,
    log: content(entry),
  }
  const keys = Object.keys(record)
  const seconds = Number(entry.timeNano / 1_000_000_000n)
  const time = Buffer.alloc(target.precise ? 10 : 5)
  if (target.precise) {
    // EventTime: extension 0 of 8 bytes, seconds and nanoseconds.
    time.writeUInt16BE(0xd700, 0)
    time.writeUInt32BE(seconds, 2)
    time.writeUInt32BE(Number(entry.timeNano % 1_000_000_000n), 6)
  } else {
    time[0] = 0xce
    time.writeUInt32BE(seconds, 1)
  }
  const map = Buffer.from([0xde, keys.length >> 8, keys.length & 255])
  const pairs = keys.flatMap((key) => [
    packedText(Buffer.from(key)),
    packedText(Buffer.from(record[key] ?? "")),
  ])
  return Buffer.concat([
    Buffer.from([0x93]),
    packedText(Buffer.from(tagText(target.tag, origin))),
    time,
    map,
    ...pairs,
  ])
}

function packedText(bytes: Buffer): Buffer {
  if (bytes.length < 32) return Buffer.concat([Buffer.from([0xa0 | bytes.length]), bytes])
  const head = Buffer.alloc(5)
  head[0] = 0xdb
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** What a stream to the journal begins with; each line after it is one entry. */
export const journalHead = (tag: string, stream: LogEntry["stream"]): string =>
  [tag, "", stream === "stderr" ? FAILURE : INFORMATION, 0, 0, 0, 0, ""].join("\n")
