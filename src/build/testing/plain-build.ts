// A build for tests: nothing asked for but what a test says.
import type { BuildRequest } from "../build.ts"

/** What `docker build -` of an empty context asks: every default. */
export const plainBuild = (changes: Partial<BuildRequest> = {}): BuildRequest => ({
  context: { type: "empty" },
  namedContexts: new Map(),
  target: "",
  buildArgs: new Map(),
  labels: new Map(),
  platforms: [],
  noCache: false,
  noCacheFilter: [],
  pull: false,
  extraHosts: [],
  network: "",
  shmSize: 0,
  ulimits: [],
  cgroupParent: "",
  memory: 0,
  memorySwap: 0,
  cpuShares: 0,
  cpuQuota: 0,
  cpuPeriod: 0,
  cpusetCpus: "",
  cpusetMems: "",
  entitlements: [],
  secrets: async () => undefined,
  ssh: async () => undefined,
  credentials: async () => undefined,
  cacheFrom: [],
  face: "builder",
  ...changes,
})
