// The one table of layers: a room may import rooms of lower layers only, through their doors.

/** Room (folder beneath src/) to layer. */
export const layers: Readonly<Record<string, number>> = {
  base: 0,
  oci: 1,
  wire: 1,
  kernel: 2,
  state: 2,
  events: 2,
  content: 3,
  snapshots: 3,
  runtime: 3,
  network: 3,
  volumes: 3,
  logs: 3,
  "registry-client": 3,
  images: 4,
  engine: 5,
  build: 5,
  api: 6,
  client: 6,
  "registry-server": 6,
  daemon: 7,
  cli: 7,
}

/** Files other rooms may import. Rooms not named here are imported file by file (base, oci, wire: pure one-idea files). */
export const doors: Readonly<Record<string, readonly string[]>> = {
  kernel: ["kernel.ts", "mount.ts", "fake.ts", "netlink/netlink.ts"],
  state: ["state.ts", "container.ts"],
  events: ["events.ts"],
  content: ["content.ts"],
  snapshots: ["snapshotter.ts"],
  runtime: ["runtime.ts"],
  network: ["network.ts"],
  volumes: ["volumes.ts"],
  logs: ["logs.ts"],
  "registry-client": ["registry-client.ts"],
  images: ["images.ts"],
  engine: ["engine.ts"],
  build: ["build.ts"],
  api: ["api.ts"],
  client: ["client.ts"],
  "registry-server": ["registry-server.ts"],
  daemon: ["daemon.ts"],
  cli: ["cli.ts"],
}

/** Only these layers may know the shapes of the Docker API. */
export const wireLayers: readonly number[] = [6, 7]
