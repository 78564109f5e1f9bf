// The docker client's verbs that an engine answers, in the order of docs/compatibility.md.
export const clientVerbs: readonly string[] = [
  ...["run", "create", "start", "stop", "restart", "kill", "pause", "unpause", "wait", "attach", "exec"],
  ...["logs", "top", "stats", "port", "ps", "inspect", "rename", "update", "rm", "container prune"],
  ...["cp", "diff", "export", "commit"],
  ...["images", "image inspect", "history", "tag", "rmi", "import", "save", "load", "image prune"],
  ...["volume create", "volume ls", "volume inspect", "volume rm", "volume prune"],
  ...[
    "network ls",
    "network inspect",
    "network create",
    "network connect",
    "network disconnect",
    "network rm",
  ],
  ...["network prune", "events", "info", "version", "system df", "system prune"],
  ...["pull", "push", "login", "logout", "search", "build", "builder prune"],
]

/** Flags of a verb, as its help lists them: long names with two dashes. */
export const flagsOf = (help: string): string[] =>
  [...help.matchAll(/^ {2,}(?:-\w, )?(--[\w-]+)/gm)].map((match) => match[1] ?? "")

const windows = { works: "no", note: "Windows only; the client refuses it." }
const swarm = { works: "no", note: "Swarm only." }
const configOnly = { works: "no", note: "Refused: each network has its own options and subnets." }

const swarmOnly = (flags: readonly string[]) =>
  Object.fromEntries(flags.map((flag) => [`volume create --${flag}`, swarm]))

/** What does not, or only partly, work, and why. Everything else is said by the tests. */
export const exceptions: Readonly<Record<string, { works: string; note: string }>> = {
  "build --isolation": windows,
  "build --security-opt": { works: "no", note: "Windows only; refused." },
  "network create --config-from": configOnly,
  "network create --config-only": configOnly,
  "network create --ingress": swarm,
  "network create --scope": { works: "partly", note: "local only; swarm needs a swarm, as Docker says." },
  "network create --ipam-driver": { works: "partly", note: "default and null; there are no plugins." },
  "run --storage-opt": { works: "no", note: "Refused: a layer has no size limit of its own." },
  "run --gpus": { works: "no", note: "Refused: devices are given by path, with `--device`." },
  "run --runtime": { works: "partly", note: "One runtime, which answers to sloop and runc." },
  "run --volume-driver": { works: "partly", note: "local only." },
  "run --userns": { works: "partly", note: "host only; there is no remapping yet." },
  "run --log-driver": {
    works: "partly",
    note: "json-file, local, none, syslog, fluentd and journald (as lines, without Docker's fields).",
  },
  "run --cpu-rt-period": { works: "partly", note: "Where the kernel schedules groups in real time." },
  "run --cpu-rt-runtime": { works: "partly", note: "Where the kernel schedules groups in real time." },
  "run --blkio-weight": { works: "partly", note: "Where the kernel has it; a warning elsewhere." },
  "run --blkio-weight-device": { works: "partly", note: "Where the kernel has it; a warning elsewhere." },
  "update --blkio-weight": { works: "partly", note: "Where the kernel has it." },
  "update --cpu-rt-period": { works: "partly", note: "Where the kernel schedules groups in real time." },
  "update --cpu-rt-runtime": { works: "partly", note: "Where the kernel schedules groups in real time." },
  "run --memory-swappiness": { works: "partly", note: "cgroup v1 only." },
  "run --oom-kill-disable": { works: "partly", note: "cgroup v1 only." },
  "run --kernel-memory": { works: "no", note: "Gone from kernels; ignored." },
  "run --cpu-count": windows,
  "run --cpu-percent": windows,
  "run --io-maxbandwidth": windows,
  "run --io-maxiops": windows,
  "rmi --platform": { works: "no", note: "Refused: an image here has one platform." },
  "rm --link": { works: "no", note: "Refused: remove the container." },
  "start --checkpoint": { works: "no", note: "There are no checkpoints; the client refuses it." },
  "start --checkpoint-dir": { works: "no", note: "There are no checkpoints; the client refuses it." },
  "volume create --driver": { works: "partly", note: "local only." },
  "volume ls --cluster": swarm,
  ...swarmOnly(["availability", "group", "limit-bytes", "required-bytes", "scope", "secret", "sharing"]),
  ...swarmOnly(["topology-preferred", "topology-required", "type"]),
}
