// The drivers there are, by name. One more kind of network is one more line here, and its folder.
import type { BridgeDriverOptions } from "./bridge/driver.ts"
import { bridgeDriver } from "./bridge/driver.ts"
import type { Driver } from "./driver.ts"
import { ipvlanDriver } from "./ipvlan/driver.ts"
import { macvlanDriver } from "./macvlan/driver.ts"
import type { ParentTools } from "./macvlan/parent.ts"

export const openDrivers = (tools: BridgeDriverOptions & ParentTools): ReadonlyMap<string, Driver> =>
  new Map(
    [bridgeDriver(tools), macvlanDriver(tools), ipvlanDriver(tools)].map((driver) => [driver.name, driver]),
  )
