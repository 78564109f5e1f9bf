// The drivers there are, by name.
import type { BridgeDriverOptions } from "./bridge/driver.ts"
import { bridgeDriver } from "./bridge/driver.ts"
import type { Driver } from "./driver.ts"

export const openDrivers = (options: BridgeDriverOptions): ReadonlyMap<string, Driver> =>
  new Map([bridgeDriver(options)].map((driver) => [driver.name, driver]))
