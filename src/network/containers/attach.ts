// Links of a namespace that is in use: put on more networks, taken off one, default routes changed.
import { errorMessage, failure } from "../../base/errors.ts"
import type { Kernel, Operation } from "../../kernel/kernel.ts"
import type { Link, Message } from "../../kernel/netlink/netlink.ts"
import {
  deleteAddress,
  deleteLink,
  disablePort,
  FAMILY_IPV4,
  FAMILY_IPV6,
  listAddresses,
  listLinks,
  netlinkOperation,
  readAddresses,
  readLinks,
  renameLink,
} from "../../kernel/netlink/netlink.ts"
import type { GivenAddresses } from "../ipam/addressing.ts"
import { newSerial } from "../pool/namespaces.ts"
import type { Removals } from "../removals.ts"
import { collect, isRefusal } from "../request.ts"
import type { Segment } from "../segment.ts"
import { interfaceMessages, otherWayOutMessage, sysctlOperations, type WayOut } from "./interface.ts"

/** A link that is to be made in a namespace. */
export interface NewLink {
  readonly segment: Segment
  /** Its end on this host, "" if it has none. */
  readonly link: string
  readonly name: string
  readonly macAddress: string
  readonly addresses: GivenAddresses
  readonly linkLocal: readonly string[]
  readonly sysctls: ReadonlyMap<string, string>
}

/** What a link is called inside that is on its way out. */
export const GONE_NAME = /^gone[0-9a-f]{8}$/

/** A default route by the name of its link; gateway "" = whoever is on the link. */
export interface NamedWayOut {
  readonly family: 4 | 6
  readonly name: string
  readonly gateway: string
}

const inside = (kernel: Kernel, namespace: string, operations: readonly Operation[]): Promise<Buffer> =>
  collect(kernel, [["netlink"], ["namespace", namespace], ...operations])
const insideMessages = (messages: readonly Message[]): Operation[] =>
  messages.length === 0 ? [] : [netlinkOperation("inside", "route", messages)]

/** Routes whose links are there; a user may have removed one. */
const resolved = (ways: readonly NamedWayOut[], links: readonly Link[]): WayOut[] =>
  ways.flatMap(({ family, name, gateway }) => {
    const link = links.find((candidate) => candidate.name === name)
    return link ? [{ family, link: link.index, gateway }] : []
  })

/**
 * Makes links in a namespace, with their addresses, then the default routes; `operations` follow. All or none, except
 * that default routes which were changed stay so when what follows fails.
 */
export const attachLinks = async (
  kernel: Kernel,
  removals: Removals,
  namespace: string,
  links: readonly NewLink[],
  ways: readonly NamedWayOut[],
  operations: readonly Operation[],
): Promise<void> => {
  const undo = async (): Promise<void> => {
    for (const { link, name } of links)
      if (link !== "") removals.remove(link)
      else await inside(kernel, namespace, insideMessages([deleteLink({ name })])).catch(() => undefined)
  }
  try {
    const made = links.map(({ segment, link, name, macAddress }) =>
      segment.linkOperation(link, name, macAddress),
    )
    const found = readLinks(await inside(kernel, namespace, [...made, ...insideMessages([listLinks()])]))
    const configured = links.flatMap(({ name, addresses, linkLocal }) => {
      const index = found.find((link) => link.name === name)?.index
      if (index === undefined) throw failure("internal", `interface ${name} vanished while it was set up`)
      return interfaceMessages({ name, index, addresses, linkLocal })
    })
    const routes = resolved(ways, found).map(otherWayOutMessage)
    const sysctls = links.flatMap((link) => sysctlOperations(link.name, link.addresses, link.sysctls))
    const rest = [...sysctls, ...insideMessages([...configured, ...routes]), ...operations]
    if (rest.length > 0) await inside(kernel, namespace, rest)
  } catch (error) {
    await undo()
    throw error
  }
}

/** The link is gone, or its namespace with the last process in it. */
const isGone = (error: unknown): boolean => isRefusal(error, "ENODEV", "ENOENT", "ESRCH")

/**
 * Takes a link out of service: nothing passes through it and its name and addresses are free when this resolves. The
 * kernel removes it behind the caller's back. One that is gone already is no failure.
 */
export const detachLink = async (
  kernel: Kernel,
  removals: Removals,
  namespace: string,
  link: { readonly link: string; readonly name: string },
  ways: readonly NamedWayOut[],
  warn: (message: string) => void,
): Promise<void> => {
  try {
    const closed =
      link.link === "" ? [] : [netlinkOperation("host", "route", [disablePort({ name: link.link })])]
    const lists = [listLinks(), listAddresses(FAMILY_IPV4), listAddresses(FAMILY_IPV6)]
    const replies = await inside(kernel, namespace, [...closed, ...insideMessages(lists)])
    const links = readLinks(replies)
    const found = links.find(({ name }) => name === link.name)
    const old = readAddresses(replies).filter((address) => address.link === found?.index)
    const away = `gone${newSerial()}`
    await inside(kernel, namespace, [
      ...insideMessages([
        ...old.map(deleteAddress),
        ...(found ? [renameLink(found.index, away)] : []),
        ...resolved(ways, links).map(otherWayOutMessage),
      ]),
    ])
    if (link.link !== "") removals.remove(link.link)
    else if (found)
      void inside(kernel, namespace, insideMessages([deleteLink({ index: found.index })])).catch(
        (error: unknown) => {
          if (!isGone(error)) warn(`could not remove interface ${away}: ${errorMessage(error)}`)
        },
      )
  } catch (error) {
    if (link.link !== "") removals.remove(link.link)
    if (!isGone(error)) throw error
  }
}
