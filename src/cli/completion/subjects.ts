// What each verb's arguments and each flag's value name, for completion.

/** What stands at a place of the command line. */
export type Subject =
  | "container"
  | "running"
  | "stopped"
  | "paused"
  | "image"
  | "network"
  | "volume"
  | "context"
  | "container-path"
  | "anything"
  | "file"
  | readonly string[]

/** Subjects of a verb's arguments in their order; the last holds for all further ones. */
const ofVerbs: Readonly<Record<string, readonly Subject[]>> = {
  "builder build": ["file", []],
  "builder history": [["ls", "rm"], []],
  "container attach": ["running", []],
  "container commit": ["container", []],
  "container cp": ["container-path"],
  "container create": ["image", "file"],
  "container diff": ["container"],
  "container exec": ["running", "file"],
  "container export": ["container"],
  "container inspect": ["container"],
  "container kill": ["running"],
  "container logs": ["container", []],
  "container pause": ["running"],
  "container port": ["running", []],
  "container rename": ["container", []],
  "container restart": ["container"],
  "container rm": ["container"],
  "container run": ["image", "file"],
  "container start": ["stopped"],
  "container stats": ["running"],
  "container stop": ["running"],
  "container top": ["running", []],
  "container unpause": ["paused"],
  "container update": ["container"],
  "container wait": ["running"],
  "container why": ["container"],
  "context export": ["context", "file"],
  "context import": [[], "file"],
  "context inspect": ["context"],
  "context rm": ["context"],
  "context update": ["context", []],
  "context use": ["context", []],
  "image build": ["file", []],
  "image diff": ["image"],
  "image history": ["image", []],
  "image import": ["file", []],
  "image inspect": ["image"],
  "image push": ["image", []],
  "image rm": ["image"],
  "image save": ["image"],
  "image squash": ["image", []],
  "image tag": ["image", "image", []],
  "network connect": ["network", "container", []],
  "network disconnect": ["network", "container", []],
  "network inspect": ["network"],
  "network rm": ["network"],
  "registry serve": ["file"],
  "volume inspect": ["volume"],
  "volume rm": ["volume"],
  completion: [["bash", "zsh", "fish"], []],
  inspect: ["anything"],
}

const shorts: Readonly<Record<string, string>> = { rmi: "image rm", images: "image ls", ps: "container ls" }

const signals = ["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "WINCH"]

const ofFlags: Readonly<Record<string, Subject>> = {
  network: "network",
  net: "network",
  "volumes-from": "container",
  link: "container",
  context: "context",
  from: "context",
  signal: signals,
  "stop-signal": signals,
  restart: ["no", "always", "on-failure", "unless-stopped"],
  pull: ["always", "missing", "never"],
  "log-driver": ["json-file", "local", "none", "syslog", "journald", "fluentd"],
  driver: ["bridge", "host", "none", "local"],
  ipc: ["private", "shareable", "host", "none", "container:"],
  pid: ["host", "container:"],
  userns: ["host"],
  cgroupns: ["private", "host"],
  attach: ["stdin", "stdout", "stderr"],
  format: ["json", "table"],
  status: ["running", "paused", "exited"],
  type: ["container", "image", "network", "volume"],
  progress: ["auto", "tty", "plain", "rawjson", "quiet", "none"],
  call: ["build", "check", "outline", "targets"],
  allow: ["network.host", "security.insecure"],
  platform: ["linux/amd64", "linux/arm64"],
  "log-level": ["debug", "info", "warn", "error", "fatal"],
}

/** The subject of a verb's argument by its place; files where nothing is known. `name` is as verbs.ts gives it. */
export function subjectOfArgument(name: string, place: number): Subject {
  const known = [name, `container ${name}`, `image ${name}`, shorts[name] ?? ""].find((full) =>
    Object.hasOwn(ofVerbs, full),
  )
  const subjects = known === undefined ? undefined : ofVerbs[known]
  return subjects?.[Math.min(place, subjects.length - 1)] ?? []
}

const ofFiles = /file$|^(output|input|volume|mount|device|config|tlsca?cert|tlskey|path|directory|cert|key)$/

/** The subject of a flag's value. */
export const subjectOfFlag = (flag: string): Subject =>
  Object.hasOwn(ofFlags, flag) ? (ofFlags[flag] ?? []) : ofFiles.test(flag) ? "file" : []
