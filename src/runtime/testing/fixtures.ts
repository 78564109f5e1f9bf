// Configs and requests for tests: a plain container, changed where a test says so.
import { type ContainerConfig, plainConfig } from "../../state/state.ts"
import type { LaunchRequest } from "../runtime.ts"

/** A config as `docker run --network none busybox true` gives it. */
export const busyboxConfig = (changes: Partial<ContainerConfig> = {}): ContainerConfig =>
  plainConfig({ image: "busybox", hostname: "c0ffee", networkMode: "none", ...changes })

/** A request for a container that runs `argv`. */
export const plainRequest = (
  argv: readonly string[],
  config: Partial<ContainerConfig> = {},
  changes: Partial<LaunchRequest> = {},
): LaunchRequest => ({
  id: "0123456789ab",
  name: "plain",
  config: busyboxConfig(config),
  argv,
  env: ["PATH=/bin", "HOSTNAME=c0ffee"],
  root: { type: "directory", path: "/srv/root" },
  mounts: [],
  networkNamespace: "host",
  joined: {},
  reservations: [],
  expectedAttachments: 0,
  directory: "/var/lib/sloop/containers/0123456789ab",
  runDirectory: "/run/sloop/0123456789ab",
  log: {
    driver: "json-file",
    path: "/var/lib/sloop/containers/0123456789ab/log.json",
    maxBytes: 0,
    maxFiles: 1,
  },
  durableExit: false,
  ...changes,
})
