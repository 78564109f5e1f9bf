// Answers from the registry of names. Pure: a query and who asks go in, an answer or "ask elsewhere" comes out.
import { addressesOf, type Found, findAddress, findName, ipv6Bytes } from "./lookup.ts"
import { CLASS_IN, CODE, type Query, type ResourceRecord, TYPE } from "./message.ts"
import type { NamedEndpoint, Names } from "./names.ts"

/** Docker's, seconds: names live as long as their networks, and clients seldom keep them. */
const TTL = 600

/** What SRV may name a port by, besides its number. */
const SERVICES: Readonly<Record<string, number>> = {
  amqp: 5672,
  dns: 53,
  domain: 53,
  http: 80,
  https: 443,
  imap: 143,
  ldap: 389,
  mongodb: 27017,
  mqtt: 1883,
  mysql: 3306,
  postgresql: 5432,
  redis: 6379,
  sip: 5060,
  smtp: 25,
  ssh: 22,
}

/** The code and records to answer with; `elsewhere`: no container is meant, the upstream servers are. */
export type LocalAnswer =
  | { readonly kind: "here"; readonly code: number; readonly records: readonly ResourceRecord[] }
  | { readonly kind: "elsewhere" }

const here = (records: readonly ResourceRecord[] = [], code: number = CODE.ok): LocalAnswer => ({
  kind: "here",
  code,
  records,
})
const elsewhere: LocalAnswer = { kind: "elsewhere" }

/**
 * Answers for one container. A name that exists has an empty answer for what it has none of. What is for others to answer
 * goes nowhere from internal networks alone, and short names do not where somebody set ndots (the client then tries its
 * search domains): that is Docker's way.
 */
export const answer = (names: Names, containerId: string, ndotsSet: boolean, query: Query): LocalAnswer => {
  const around = names.around(containerId)
  const local = query.class === CLASS_IN ? answerHere(around, query) : undefined
  if (local) return here(local)
  if (!around.some(({ endpoint }) => !endpoint.internal)) return here([], CODE.serverFailure)
  const isAddress = query.type === TYPE.a || query.type === TYPE.aaaa
  return isAddress && ndotsSet && query.name !== "" && !query.name.includes(".") ? here() : elsewhere
}

const answerHere = (around: ReturnType<Names["around"]>, query: Query): ResourceRecord[] | undefined => {
  const { name, type } = query
  if (type === TYPE.ptr) {
    const owner = findAddress(around, name)
    if (owner !== undefined) return [{ type, ttl: TTL, data: nameBytes(owner) }]
  }
  if (type === TYPE.srv) {
    const service = /^_([^.]+)\._(tcp|udp|sctp)\.(.+)$/.exec(name)
    const found = service ? findName(around, service[3] ?? "") : []
    if (found.length > 0) return serviceRecords(found, service?.[1] ?? "", service?.[2] ?? "")
  }
  const found = findName(around, name)
  if (found.length === 0) return undefined
  const records: ResourceRecord[] = []
  if (type === TYPE.a || type === TYPE.any)
    for (const address of addressesOf(found, "ipv4"))
      records.push({ type: TYPE.a, ttl: TTL, data: Uint8Array.from(address.split("."), Number) })
  if (type === TYPE.aaaa || type === TYPE.any)
    for (const address of addressesOf(found, "ipv6"))
      records.push({ type: TYPE.aaaa, ttl: TTL, data: ipv6Bytes(address) })
  return records
}

const serviceRecords = (found: readonly Found[], service: string, protocol: string): ResourceRecord[] => {
  const port = /^\d+$/.test(service) ? Number(service) : SERVICES[service]
  const offers = ({ ports }: NamedEndpoint): boolean =>
    ports?.some((one) => one.port === port && one.protocol === protocol) ?? false
  return found.flatMap(({ network, endpoints }) =>
    endpoints.filter(offers).map((endpoint) => {
      const head = Buffer.alloc(6)
      head.writeUInt16BE(port ?? 0, 4)
      const target = nameBytes(`${endpoint.names[0] ?? ""}.${network.name}`)
      return { type: TYPE.srv, ttl: TTL, data: Buffer.concat([head, target]) }
    }),
  )
}

/** A name as labels. What is no label (over 63 bytes) is cut: no client could have asked for it. */
const nameBytes = (name: string): Buffer =>
  Buffer.concat([
    ...name.split(".").flatMap((label) => {
      const bytes = Buffer.from(label).subarray(0, 63)
      return bytes.length > 0 ? [Buffer.of(bytes.length), bytes] : []
    }),
    Buffer.of(0),
  ])
