// The flags of run and create.
import { bool, int, list, text } from "../flag-kinds.ts"
import type { Flag } from "../flags.ts"
import * as check from "./checks.ts"
import { readNetwork } from "./networks.ts"

const identity: readonly Flag[] = [
  text("name", "Assign a name to the container"),
  text("hostname", "Container host name", "string", { short: "h" }),
  text("domainname", "Container NIS domain name"),
  list("label", "Set meta data on a container", "list", { check: check.label, short: "l" }),
  list("label-file", "Read in a line delimited file of labels"),
  text("cidfile", "Write the container ID to the file"),
  list("annotation", "Add an annotation to the container", "map"),
  text("platform", "Set platform if server is multi-platform capable"),
  text("pull", 'Pull image before running ("always", "missing", "never")', "string", { default: "missing" }),
]

const processFlags: readonly Flag[] = [
  text("entrypoint", "Overwrite the default ENTRYPOINT of the image"),
  list("env", "Set environment variables", "list", { check: check.variable, short: "e" }),
  list("env-file", "Read in a file of environment variables"),
  text("user", "Username or UID (format: <name|uid>[:<group|gid>])", "string", { short: "u" }),
  list("group-add", "Add additional groups to join"),
  text("workdir", "Working directory inside the container", "string", { short: "w" }),
  bool("tty", "Allocate a pseudo-TTY", { short: "t" }),
  bool("interactive", "Keep STDIN open even if not attached", { short: "i" }),
  list("attach", "Attach to STDIN, STDOUT or STDERR", "list", { check: check.stream, short: "a" }),
  bool("init", "Run an init inside the container that forwards signals and reaps processes"),
  text("stop-signal", "Signal to stop the container", "signal"),
  int("stop-timeout", "Timeout (in seconds) to stop a container"),
  bool("rm", "Automatically remove the container when it exits"),
  text("restart", "Restart policy to apply when a container exits", "string", { default: "no" }),
  text("health-cmd", "Command to run to check health"),
  text("health-interval", "Time between running the check (ms|s|m|h)", "duration", { check: check.duration }),
  text("health-timeout", "Maximum time to allow one check to run (ms|s|m|h)", "duration", {
    check: check.duration,
  }),
  text("health-start-period", "Start period before counting retries (ms|s|m|h)", "duration", {
    check: check.duration,
  }),
  text("health-start-interval", "Time between checks during the start period (ms|s|m|h)", "duration", {
    check: check.duration,
  }),
  int("health-retries", "Consecutive failures needed to report unhealthy"),
  bool("no-healthcheck", "Disable any container-specified HEALTHCHECK"),
  text("log-driver", "Logging driver for the container"),
  list("log-opt", "Log driver options"),
]

const storage: readonly Flag[] = [
  list("volume", "Bind mount a volume", "list", { short: "v" }),
  list("mount", "Attach a filesystem mount to the container", "mount", { check: check.mount }),
  list("tmpfs", "Mount a tmpfs directory"),
  list("volumes-from", "Mount volumes from the specified container(s)"),
  text("volume-driver", "Optional volume driver for the container"),
  bool("read-only", "Mount the container's root filesystem as read only"),
  text("shm-size", "Size of /dev/shm", "bytes", { check: check.size }),
  list("storage-opt", "Storage driver options for the container"),
  list("device", "Add a host device to the container"),
  text("gpus", "GPU devices to add to the container ('all' to pass all GPUs)", "gpu-request"),
  list("device-cgroup-rule", "Add a rule to the cgroup allowed devices list", "list", {
    check: check.deviceRule,
  }),
]

const isolation: readonly Flag[] = [
  bool("privileged", "Give extended privileges to this container"),
  list("cap-add", "Add Linux capabilities"),
  list("cap-drop", "Drop Linux capabilities"),
  list("security-opt", "Security Options"),
  text("pid", "PID namespace to use"),
  text("ipc", "IPC mode to use"),
  text("uts", "UTS namespace to use"),
  text("userns", "User namespace to use"),
  text("cgroupns", "Cgroup namespace to use (host|private)"),
  text("cgroup-parent", "Optional parent cgroup for the container"),
  text("isolation", "Container isolation technology"),
  text("runtime", "Runtime to use for this container"),
  list("sysctl", "Sysctl options", "map", { check: check.sysctl }),
  list("ulimit", "Ulimit options", "ulimit", { check: check.ulimit }),
  int("oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)", { default: "0" }),
  bool("oom-kill-disable", "Disable OOM Killer"),
]

const limits: readonly Flag[] = [
  text("memory", "Memory limit", "bytes", { check: check.size, short: "m" }),
  text("memory-reservation", "Memory soft limit", "bytes", { check: check.size }),
  text("memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", "bytes", {
    check: check.size,
  }),
  int("memory-swappiness", "Tune container memory swappiness (0 to 100)", { default: "-1" }),
  text("kernel-memory", "Kernel memory limit", "bytes", { check: check.size, hidden: true }),
  text("cpus", "Number of CPUs", "decimal", { check: check.cpus }),
  int("cpu-shares", "CPU shares (relative weight)", { short: "c" }),
  int("cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period"),
  int("cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota"),
  int("cpu-rt-period", "Limit CPU real-time period in microseconds"),
  int("cpu-rt-runtime", "Limit CPU real-time runtime in microseconds"),
  text("cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)"),
  text("cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)"),
  int("pids-limit", "Tune container pids limit (set -1 for unlimited)"),
  int("blkio-weight", "Block IO (relative weight), between 10 and 1000, or 0 to disable"),
  list("blkio-weight-device", "Block IO weight (relative device weight)", "list", {
    check: check.deviceWeight,
  }),
  list("device-read-bps", "Limit read rate (bytes per second) from a device", "list", {
    check: check.bytesRate,
  }),
  list("device-write-bps", "Limit write rate (bytes per second) to a device", "list", {
    check: check.bytesRate,
  }),
  list("device-read-iops", "Limit read rate (IO per second) from a device", "list", {
    check: check.operationsRate,
  }),
  list("device-write-iops", "Limit write rate (IO per second) to a device", "list", {
    check: check.operationsRate,
  }),
]

const networking: readonly Flag[] = [
  list("publish", "Publish a container's port(s) to the host", "list", { short: "p" }),
  bool("publish-all", "Publish all exposed ports to random ports", { short: "P" }),
  list("expose", "Expose a port or a range of ports"),
  list("network", "Connect a container to a network", "network", { check: readNetwork }),
  list("net", "Connect a container to a network", "network", { check: readNetwork, hidden: true }),
  list("network-alias", "Add network-scoped alias for the container"),
  list("net-alias", "Add network-scoped alias for the container", "list", { hidden: true }),
  list("link", "Add link to another container", "list", { check: check.link }),
  list("add-host", "Add a custom host-to-IP mapping (host:ip)", "list", { check: check.extraHost }),
  list("dns", "Set custom DNS servers", "list", { check: check.address }),
  list("dns-option", "Set DNS options"),
  list("dns-opt", "Set DNS options", "list", { hidden: true }),
  list("dns-search", "Set custom DNS search domains"),
  text("ip", "IPv4 address (e.g., 172.30.100.104)"),
  text("ip6", "IPv6 address (e.g., 2001:db8::33)"),
  list("link-local-ip", "Container IPv4/IPv6 link-local addresses", "list"),
  text("mac-address", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
]

export const createFlags: readonly Flag[] = [
  ...identity,
  ...processFlags,
  ...storage,
  ...isolation,
  ...limits,
  ...networking,
  bool("quiet", "Suppress the pull output", { short: "q" }),
  bool("disable-content-trust", "Skip image verification", { hidden: true }),
]

export const runFlags: readonly Flag[] = [
  ...createFlags,
  bool("detach", "Run container in background and print container ID", { short: "d" }),
  text("detach-keys", "Override the key sequence for detaching a container"),
  bool("sig-proxy", "Proxy received signals to the process", { default: true }),
  bool("timing", "Say on standard error where the time of the start went"),
]
