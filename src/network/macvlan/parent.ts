// The parent of networks that share an interface of this host: found, made as a VLAN or a dummy, and taken away again.
import { failure } from "../../base/errors.ts"
import type { Kernel } from "../../kernel/kernel.ts"
import type { Link, Message } from "../../kernel/netlink/netlink.ts"
import {
  createDummy,
  createVeth,
  createVlan,
  getLink,
  listLinks,
  readLinks,
  setAlias,
  setUp,
} from "../../kernel/netlink/netlink.ts"
import type { NetworkRecord } from "../../state/state.ts"
import type { Footing } from "../driver.ts"
import type { Removals } from "../removals.ts"
import { isRefusal, routeRequest } from "../request.ts"

export interface ParentTools {
  readonly kernel: Kernel
  readonly removals: Removals
  /** Written on links that are made here, before a network's id. */
  readonly mark: string
  readonly networks: () => readonly NetworkRecord[]
}

const PARENT = "parent"

/** The interface that a network was asked to share; "" = none, its containers reach each other alone. */
export const askedParent = (options: Readonly<Record<string, string>>): string => options[PARENT] ?? ""
/** Name of the interface that a network stands on. */
export const parentOf = (network: Pick<NetworkRecord, "id" | "options">): string =>
  askedParent(network.options) || `dm-${network.id.slice(0, 12)}`

/** "eth0.10" to its parts. Throws Failure "invalid" in Docker's words. */
const parseVlan = (name: string): { parent: string; id: number } => {
  const [parent = "", id = "", ...more] = name.split(".")
  if (id === "")
    throw failure("invalid", `invalid subinterface vlan name ${name}, example formatting is eth0.10`)
  if (more.length > 0 || !/^\d+$/.test(id))
    throw failure("invalid", `unable to parse a valid vlan id from: ${name} (ex. eth0.10 for vlan 10)`)
  const number = Number(id)
  if (number < 1 || number > 4094)
    throw failure("invalid", `vlan id must be between 1-4094, received: ${number}`)
  return { parent, id: number }
}

/** Makes the parent where it is missing, and gives what endpoints attach to. */
export const raiseParent = async (tools: ParentTools, network: NetworkRecord): Promise<Footing> => {
  const name = parentOf(network)
  await tools.removals.free(name)
  const links = readLinks(await routeRequest(tools.kernel, [listLinks()]))
  const found = links.find((link) => link.name === name) ?? (await make(tools, network, name, links))
  return { name, index: found.index, mtu: found.mtu }
}

/** Whether the kernel refused because it has no such kind of link. */
export const isMissingKind = (error: unknown): boolean => isRefusal(error, "EOPNOTSUPP")

const vlanMessage = (name: string, links: readonly Link[]): Message => {
  const { parent, id } = parseVlan(name)
  const under = links.find((link) => link.name === parent)
  if (!under) throw failure("invalid", `-o parent interface was not found on the host: ${parent}`)
  return createVlan(name, under.index, id)
}

/** Two ends that lead to each other, where the kernel has no dummy. The second goes with the first. */
const pairMessages = (name: string): Message[] => [
  createVeth({
    name,
    master: 0,
    mtu: 1500,
    peerName: `${name.slice(0, 14)}x`,
    peerMacAddress: "02:00:00:00:00:01",
  }),
  setUp({ name: `${name.slice(0, 14)}x` }),
]

const make = async (
  { kernel, mark }: ParentTools,
  network: NetworkRecord,
  name: string,
  links: readonly Link[],
): Promise<Link> => {
  const isLonely = askedParent(network.options) === ""
  const send = async (messages: readonly Message[]): Promise<Link | undefined> => {
    const finish = [setAlias({ name }, `${mark}${network.id}`), setUp({ name }), getLink({ name })]
    return readLinks(await routeRequest(kernel, [...messages, ...finish]))[0]
  }
  const made = await send([isLonely ? createDummy(name) : vlanMessage(name, links)]).catch(
    (error: unknown) => {
      if (!isMissingKind(error)) throw error
      if (isLonely) return send(pairMessages(name))
      throw failure(
        "not-implemented",
        `this host's kernel makes no VLAN interfaces (CONFIG_VLAN_8021Q): ${name} must be there before a network stands on it`,
        { cause: error },
      )
    },
  )
  if (!made) throw failure("internal", `interface ${name} vanished while it was set up; try again`)
  return made
}

/** Takes away what was made here, unless another network still stands on it: then that one has it. */
export const lowerParent = async (tools: ParentTools, network: NetworkRecord): Promise<void> => {
  const name = parentOf(network)
  const [link] = readLinks(await routeRequest(tools.kernel, [getLink({ name })]).catch(() => Buffer.alloc(0)))
  if (!link?.alias.startsWith(tools.mark)) return
  const heir = tools
    .networks()
    .find((other) => other.id !== network.id && askedParent(other.options) === name)
  if (!heir) tools.removals.remove(name)
  else await routeRequest(tools.kernel, [setAlias({ name }, `${tools.mark}${heir.id}`)])
}
