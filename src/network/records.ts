// The stored networks: the three that always exist, and finding one by name, id or id prefix.
import { randomBytes } from "node:crypto"
import { failure } from "../base/errors.ts"
import type { NetworkRecord, State } from "../state/state.ts"
import type { DefaultBridge } from "./bridge/default-bridge.ts"
import { BRIDGE_NAME, MTU } from "./bridge/options.ts"
import { cidrText } from "./ipam/cidr.ts"

const plain = (name: string, driver: string): NetworkRecord => ({
  id: randomBytes(32).toString("hex"),
  name,
  driver,
  createdAt: Date.now(),
  internal: false,
  attachable: false,
  ipv6: false,
  options: {},
  labels: {},
  subnets: [],
})

/** Whether a name is one of the networks that always exist, or stands for one. */
export const isPredefined = (name: string): boolean =>
  name === "bridge" || name === "host" || name === "none" || name === "default"

const byName = (state: State, name: string): NetworkRecord | undefined =>
  state.networks.list().find((network) => network.name === name)

/** Writes "bridge", "host" and "none" if they are missing or have changed; the bridge's record is given back. */
export const storeDefaults = (state: State, bridge: DefaultBridge): NetworkRecord => {
  for (const [name, driver] of [
    ["host", "host"],
    ["none", "null"],
  ] as const)
    if (!byName(state, name)) {
      const record = plain(name, driver)
      state.networks.put(record.id, record)
    }
  const known = byName(state, "bridge")
  const record: NetworkRecord = {
    ...(known ?? plain("bridge", "bridge")),
    subnets: [{ subnet: cidrText(bridge.subnet), gateway: bridge.gateway }],
    options: {
      "com.docker.network.bridge.default_bridge": "true",
      "com.docker.network.bridge.enable_icc": "true",
      "com.docker.network.bridge.enable_ip_masquerade": "true",
      "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
      [BRIDGE_NAME]: bridge.name,
      [MTU]: String(bridge.mtu),
    },
  }
  if (JSON.stringify(known) !== JSON.stringify(record)) state.networks.put(record.id, record)
  return record
}

/** By full id, by name, or by an id prefix that only one network has. */
export const findNetwork = (state: State, reference: string): NetworkRecord | undefined => {
  const all = state.networks.list()
  const exact =
    all.find((network) => network.id === reference) ?? all.find((network) => network.name === reference)
  if (exact || !/^[0-9a-f]{1,64}$/.test(reference)) return exact
  const starting = all.filter((network) => network.id.startsWith(reference))
  if (starting.length > 1)
    throw failure(
      "invalid",
      `network ${reference} is ambiguous (${starting.length} matches found based on ID prefix)`,
    )
  return starting[0]
}
