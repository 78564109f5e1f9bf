// The flags of build: docker's classic ones and buildx's.
import { parseReference } from "../../oci/reference.ts"
import { ulimit } from "../container/checks.ts"
import { readBytes } from "../container/values.ts"
import { bool, int, list as plainList, text } from "../flag-kinds.ts"
import type { Flag } from "../flags.ts"

const list = (name: string, summary: string, value = "stringArray", more: Partial<Flag> = {}): Flag =>
  plainList(name, summary, value, more)
/** Taken as docker takes it, without meaning here. */
const ignored = (name: string, kind: "bool" | "string", more: Partial<Flag> = {}): Flag => ({
  name,
  kind,
  summary: "Ignored: taken for docker's sake",
  hidden: true,
  ...more,
})

export const buildFlags: readonly Flag[] = [
  list("add-host", 'Add a custom host-to-IP mapping (format: "host:ip")', "list"),
  list("allow", 'Allow extra privileged entitlement (e.g., "network.host", "security.insecure")'),
  list("annotation", "Add annotation to the image"),
  list("attest", 'Attestation parameters (format: "type=sbom,generator=image")'),
  list("build-arg", "Set build-time variables"),
  list("build-context", "Additional build contexts (e.g., name=path)"),
  ignored("builder", "string"),
  list("cache-from", 'External cache sources (e.g., "user/app:cache", "type=local,src=path/to/dir")'),
  list("cache-to", 'Cache export destinations (e.g., "user/app:cache", "type=local,dest=path/to/dir")'),
  text("call", 'Set method for evaluating build ("check", "outline", "targets")', "string", {
    default: "build",
  }),
  text("cgroup-parent", 'Set the parent cgroup for the "RUN" instructions during build'),
  bool("check", 'Shorthand for "--call=check"'),
  ignored("compress", "bool"),
  int("cpu-period", "Limit the CPU CFS (Completely Fair Scheduler) period"),
  int("cpu-quota", "Limit the CPU CFS (Completely Fair Scheduler) quota"),
  int("cpu-shares", "CPU shares (relative weight)", { short: "c" }),
  text("cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)"),
  text("cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)"),
  bool("debug", "Show all warnings in full", { short: "D" }),
  ignored("disable-content-trust", "bool", { default: true }),
  text("file", 'Name of the Dockerfile (default: "PATH/Dockerfile")', "string", { short: "f" }),
  ignored("force-rm", "bool"),
  text("iidfile", "Write the image ID to a file"),
  text("isolation", "Container isolation technology"),
  list("label", "Set metadata for an image"),
  bool("load", 'Shorthand for "--output=type=docker"'),
  text("memory", "Memory limit", "bytes", { short: "m", check: readBytes }),
  text("memory-swap", 'Swap limit equal to memory plus swap: "-1" to enable unlimited swap', "bytes", {
    check: readBytes,
  }),
  text("metadata-file", "Write build result metadata to a file"),
  text("network", 'Set the networking mode for the "RUN" instructions during build', "string", {
    default: "default",
  }),
  bool("no-cache", "Do not use cache when building the image"),
  list("no-cache-filter", "Do not cache specified stages"),
  list("output", 'Output destination (format: "type=local,dest=path")', "stringArray", { short: "o" }),
  list("platform", "Set target platform for build"),
  text(
    "progress",
    'Set type of progress output ("auto", "none", "plain", "quiet", "rawjson", "tty")',
    "string",
    {
      default: "auto",
    },
  ),
  text("provenance", 'Shorthand for "--attest=type=provenance"', "string", { bare: "true" }),
  bool("pull", "Always attempt to pull all referenced images"),
  bool("push", 'Shorthand for "--output=type=registry"'),
  bool("quiet", "Suppress the build output and print image ID on success", { short: "q" }),
  ignored("rm", "bool", { default: true }),
  text("sbom", 'Shorthand for "--attest=type=sbom"', "string", { bare: "true" }),
  list("secret", 'Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")'),
  list("security-opt", "Security options", "strings", { hidden: true }),
  text("shm-size", 'Size of "/dev/shm"', "bytes", { check: readBytes }),
  bool("squash", "Squash newly built layers into a single new layer"),
  list(
    "ssh",
    'SSH agent socket or keys to expose to the build (format: "default|<id>[=<socket>|<key>[,<key>]]")',
  ),
  list("tag", 'Name and optionally a tag (format: "name:tag")', "list", {
    short: "t",
    check: parseReference,
  }),
  text("target", "Set the target build stage to build"),
  list("ulimit", "Ulimit options", "ulimit", { check: ulimit }),
  bool("watch", "Build again whenever a file of the context changes, until Ctrl-C"),
]
