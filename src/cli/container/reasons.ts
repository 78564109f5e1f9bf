// `sloop why`: from what inspect and the logs say to sentences that explain why a container ended or does not start.

export interface Ended {
  readonly Name: string
  readonly Path: string
  readonly Args: readonly string[] | null
  readonly RestartCount?: number
  readonly State: {
    readonly Status: string
    readonly OOMKilled: boolean
    readonly ExitCode: number
    readonly Error: string
    readonly StartedAt: string
    readonly FinishedAt: string
    readonly Health?: {
      readonly Status: string
      readonly FailingStreak: number
      readonly Log: readonly { readonly ExitCode: number; readonly Output: string }[] | null
    }
  }
  readonly Config: { readonly Image: string }
  readonly HostConfig: {
    readonly Memory?: number
    readonly RestartPolicy?: { readonly Name: string; readonly MaximumRetryCount: number }
  }
}

/** What else is known, each only where it was asked and answered. */
export interface Surroundings {
  /** Last lines of the container's output, oldest first. */
  readonly lastLines?: readonly string[]
  /** False when the image that it was made from is gone. */
  readonly imageExists?: boolean
}

const signals: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  1: ["SIGHUP", "its terminal went away, or it was told to read its configuration again"],
  2: ["SIGINT", "it was interrupted, as by Ctrl-C"],
  3: ["SIGQUIT", "it was asked to quit at once"],
  4: [
    "SIGILL",
    "it ran an instruction that this processor does not have; is the image built for this platform?",
  ],
  6: ["SIGABRT", "it gave up by itself: a failed assertion, or memory that it corrupted"],
  7: ["SIGBUS", "it touched memory that is not there; /dev/shm may be full (--shm-size)"],
  8: ["SIGFPE", "it divided by zero, or the like"],
  9: ["SIGKILL", "it was killed: by `kill`, or by `stop` because it did not end within the stop timeout"],
  11: ["SIGSEGV", "it touched memory that is not its own: a fault in the program or in one of its libraries"],
  13: ["SIGPIPE", "it wrote to something that nobody read any more"],
  14: ["SIGALRM", "a timer that it had set ran out"],
  15: ["SIGTERM", "it was asked to end, as `stop` does, and did"],
  24: ["SIGXCPU", "it used up its limit of processor time (--ulimit cpu)"],
  25: ["SIGXFSZ", "it wrote a file larger than its limit (--ulimit fsize)"],
  31: ["SIGSYS", "it made a system call that its seccomp profile does not allow"],
}

const mebibytes = (bytes: number): string => `${Math.round((bytes / 1024 / 1024) * 10) / 10} MiB`

const commandOf = ({ Path, Args }: Ended): string => [Path, ...(Args ?? [])].join(" ")

/** What kept it from starting, by the words of the failure. */
const startFailures: readonly (readonly [pattern: RegExp, tell: (match: RegExpExecArray) => string])[] = [
  [
    /exec: "([^"]*)".*interpreter "([^"]*)" not found/,
    ([, file, interpreter = ""]) =>
      /\r$|\\r$/.test(interpreter)
        ? `The file ${file} was saved with Windows line ends, so that its first line names an interpreter that ends in a carriage return. Save it with Unix line ends.`
        : /(^|\/)ld[-.]/.test(interpreter)
          ? `The program ${file} needs the dynamic loader ${interpreter}, which the image does not have: it was built for another libc (glibc or musl) or platform. Build it statically, or use an image with that libc.`
          : `The file ${file} asks for the interpreter ${interpreter}, which the image does not have. Install it in the image, or correct the file's first line.`,
  ],
  [
    /exec: "([^"]*)": executable file not found in \$PATH/,
    ([, file]) =>
      `The program "${file}" is in none of the directories of the container's PATH. Check the spelling, install it in the image, or give its whole path; arguments meant for the image's own program need the entrypoint to be left alone.`,
  ],
  [
    /exec: "([^"]*)": (?:stat [^:]*: )?no such file or directory/,
    ([, file]) =>
      `The file "${file}" does not exist in the container. Check the path, and whether a volume or mount covers it.`,
  ],
  [
    /exec: "([^"]*)": is a directory/,
    ([, file]) => `"${file}" is a directory, not a program. Give the program's own path.`,
  ],
  [
    /exec: "([^"]*)": permission denied/,
    ([, file]) =>
      `The file "${file}" may not be executed by the container's user. Give it the right (chmod +x), and check that it does not lie on a mount with noexec.`,
  ],
  [
    /exec (?:format error|"([^"]*)".*exec format error)|exec: "([^"]*)": exec format error/,
    () =>
      "The program is not built for this machine's processor, or it is a script without a #! line. Use an image of this platform (--platform), or add the line.",
  ],
  [
    /Bind for (\S+) failed: port is already allocated(?: \(container ([^)]+) has it\))?/,
    ([, address, owner]) =>
      owner === undefined
        ? `Port ${address} of this machine is published by another container. Stop that one, or publish another port.`
        : `Port ${address} of this machine is published by the container ${owner} already. Stop ${owner}, or publish another port.`,
  ],
  [
    /(?:listen|bind)\D*?(?:tcp|udp)?\d?\s*(\S+:\d+).*address already in use/,
    ([, address]) =>
      `A program of this machine listens on ${address} already (\`ss -lntup\` shows which). Stop it, or publish another port.`,
  ],
  [
    /address already in use/,
    () =>
      "A program of this machine listens on a port that the container publishes. Stop it, or publish another.",
  ],
  [
    /bind source path does not exist: (\S+)|mount .*source path.*"([^"]*)".*(?:no such|not exist)/,
    ([, first, second]) =>
      `The directory or file ${first ?? second} that is to be mounted does not exist on this machine. Create it, or correct the mount.`,
  ],
  [
    /not a directory.*mount|mount.*not a directory/,
    () =>
      "A mount puts a file where the container has a directory, or the other way round. Compare both sides of each mount.",
  ],
  [
    /network (\S+) not found/,
    ([, network]) =>
      `The network ${network} is gone. Create it again, or connect the container to another one.`,
  ],
  [
    /unable to find user (\S+?):|no matching entries in passwd/,
    ([, user]) =>
      `The user ${user ?? "that is asked for"} is not in the image's /etc/passwd. Use a number, or add the user to the image.`,
  ],
  [
    /no such image/i,
    () => "The image that it was made from is gone. Pull or build it again, then create the container anew.",
  ],
]

function whyNotStarted(container: Ended): string[] {
  const { State } = container
  for (const [pattern, tell] of startFailures) {
    const match = pattern.exec(State.Error)
    if (match) return [`It could not be started (${State.ExitCode}).`, tell(match)]
  }
  return [`It could not be started: ${State.Error}.`]
}

const missingLibrary =
  /error while loading shared libraries: ([^:\s]+)|Error loading shared library ([^:\s]+)/

function meaningOfCode(container: Ended, lines: readonly string[]): string[] {
  const code = container.State.ExitCode
  const library = missingLibrary.exec(lines.join("\n"))
  if (library && (code === 127 || code === 1))
    return [`The program needs the library ${library[1] ?? library[2]}, which the image does not have.`]
  if (code === 0) return ["Exit code 0: its main process had done its work and ended by itself."]
  if (code === 125)
    return ["Exit code 125 is what an engine gives for a failure of its own, before the program ran."]
  if (code === 126)
    return [
      "Exit code 126: a command was found but could not be executed (is it executable, and a program?).",
    ]
  if (code === 127)
    return [
      "Exit code 127: a shell did not find a command that it was to run; the last lines of its output name it.",
    ]
  if (code > 128 && signals[code - 128]) return bySignal(code - 128, container)
  if (code === 2) return ["Exit code 2 is the program's own; many mean by it that they were called wrongly."]
  return [`Exit code ${code} is the program's own: it ended by itself and says by this that it failed.`]
}

function bySignal(number: number, { State, HostConfig }: Ended): string[] {
  const [name = "", meaning = ""] = signals[number] ?? []
  if (number === 9 && State.OOMKilled) return outOfMemory(HostConfig.Memory)
  return [`Exit code ${number + 128} is 128 + ${number}: ${name} ended it; ${meaning}.`]
}

const outOfMemory = (limit: number | undefined): string[] => [
  limit
    ? `The kernel killed it because it used more memory than its limit of ${mebibytes(limit)}. Give it more (--memory, or \`sloop update --memory\`), or make it use less.`
    : "The kernel killed it because this machine ran out of memory. Set a limit (--memory) for what uses most, or free some.",
]

function ofHealth({ State: { Health } }: Ended): string[] {
  if (Health?.Status !== "unhealthy") return []
  const last = Health.Log?.at(-1)
  const output = last?.Output.trim().split("\n").slice(-3).join("\n")
  return [
    `Its health check has failed ${times(Health.FailingStreak)} in a row${last ? `, the last time with code ${last.ExitCode}` : ""}${output ? `, and said: ${output}` : " and said nothing"}.`,
  ]
}

const times = (count: number): string => (count === 1 ? "once" : count === 2 ? "twice" : `${count} times`)

function ofRestarts(container: Ended): string[] {
  const { State, RestartCount = 0 } = container
  const { Name: policy = "no", MaximumRetryCount: most = 0 } = container.HostConfig.RestartPolicy ?? {}
  if (State.Status === "restarting")
    return [
      `It is in a restart loop: its restart policy (${policy}) has started it again ${times(RestartCount)}, and it waits for the next try. \`sloop update --restart no\` ends this.`,
    ]
  if (RestartCount === 0 || policy === "no") return []
  if (policy === "on-failure" && most > 0 && RestartCount >= most && State.Status === "exited")
    return [
      `Its restart policy started it again ${times(RestartCount)}, which is the most it allows, and gave up.`,
    ]
  return [`Its restart policy (${policy}) has started it again ${times(RestartCount)}.`]
}

const seconds = (from: string, to: string): number | undefined => {
  const passed = (Date.parse(to) - Date.parse(from)) / 1000
  if (!Number.isFinite(passed) || from.startsWith("0001") || to.startsWith("0001")) return undefined
  return Math.max(0, passed) // the shortest of lives may be over before the daemon notes its beginning
}

function heading(container: Ended): string {
  const { State } = container
  const name = container.Name.replace(/^\//, "")
  const lived = seconds(State.StartedAt, State.FinishedAt)
  const after = lived === undefined ? "" : ` after ${lived < 10 ? lived.toFixed(1) : Math.round(lived)} s`
  switch (State.Status) {
    case "running":
      return `${name} runs${State.Health ? ` and is ${State.Health.Status}` : ""}: ${commandOf(container)}`
    case "paused":
      return `${name} is paused: \`sloop unpause ${name}\` lets it go on.`
    case "restarting":
      return `${name} ends again and again with code ${State.ExitCode}: ${commandOf(container)}`
    case "created":
      return State.Error
        ? `${name} did not start: ${commandOf(container)}`
        : `${name} was created but never started: \`sloop start ${name}\` starts it.`
    default:
      return `${name} ended with code ${State.ExitCode}${after}: ${commandOf(container)}`
  }
}

/** Sentences that explain the container's state, the most general first; the last lines of its output end them. */
export function explainContainer(container: Ended, around: Surroundings = {}): string[] {
  const { State } = container
  const lines = around.lastLines ?? []
  const told = [heading(container)]
  const ended = ["exited", "dead", "restarting"].includes(State.Status)
  if (State.Error) told.push(...whyNotStarted(container))
  else if (ended)
    told.push(
      ...(State.OOMKilled ? outOfMemory(container.HostConfig.Memory) : meaningOfCode(container, lines)),
    )
  if (State.OOMKilled && State.Status === "running")
    told.push("One of its processes was killed because the container used more memory than its limit.")
  told.push(...ofRestarts(container), ...ofHealth(container))
  if (around.imageExists === false)
    told.push(
      `Its image ${container.Config.Image} is gone from this machine; the container keeps its own copy of the layers.`,
    )
  if (ended && lines.length > 0)
    told.push(`Its last words:\n${lines.map((line) => `    ${line}`).join("\n")}`)
  else if (ended && !State.Error) told.push("It wrote no output.")
  return told
}
