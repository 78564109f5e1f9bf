import { expect, test } from "bun:test"
import { type Ended, explainContainer, type Surroundings } from "./reasons.ts"

const container = (state: Partial<Ended["State"]>, more: Partial<Ended> = {}): Ended => ({
  Name: "/web",
  Path: "serve",
  Args: ["--all"],
  Config: { Image: "site:1" },
  HostConfig: {},
  ...more,
  State: {
    Status: "exited",
    OOMKilled: false,
    ExitCode: 0,
    Error: "",
    StartedAt: "2026-11-21T13:31:05.000Z",
    FinishedAt: "2026-11-21T13:31:07.500Z",
    ...state,
  },
})
const tell = (given: Ended, around: Surroundings = {}) => explainContainer(given, around).join("\n")
const start =
  "failed to create task for container: OCI runtime create failed: unable to start container process: "

const codes: readonly (readonly [code: number, says: string])[] = [
  [0, "had done its work"],
  [1, "Exit code 1 is the program's own"],
  [2, "called wrongly"],
  [125, "a failure of its own"],
  [126, "could not be executed"],
  [127, "did not find a command"],
  [129, "SIGHUP"],
  [130, "Ctrl-C"],
  [134, "SIGABRT"],
  [137, "SIGKILL"],
  [139, "SIGSEGV"],
  [143, "SIGTERM"],
  [159, "seccomp"],
  [200, "Exit code 200 is the program's own"],
]
for (const [code, says] of codes)
  test(`exit code ${code}`, () => {
    const said = tell(container({ ExitCode: code }))
    expect(said).toStartWith(`web ended with code ${code} after 2.5 s: serve --all\n`)
    expect(said).toContain(says)
    expect(said).toEndWith("It wrote no output.")
  })

const failures: readonly (readonly [error: string, says: string])[] = [
  [`${start}exec: "srv": executable file not found in $PATH: unknown`, '"srv" is in none of the directories'],
  [`${start}exec: "/srv": no such file or directory: unknown`, '"/srv" does not exist in the container'],
  [
    `${start}exec: "/x": no such file or directory (interpreter "/nope" not found): unknown`,
    "asks for the interpreter /nope",
  ],
  [
    `${start}exec: "/x": no such file or directory (interpreter "/lib64/ld-linux-x86-64.so.2" not found)`,
    "needs the dynamic loader /lib64/ld-linux-x86-64.so.2",
  ],
  [
    `${start}exec: "/x": no such file or directory (interpreter "/bin/sh\r" not found): unknown`,
    "Windows line ends",
  ],
  [`${start}exec: "/etc": is a directory: unknown`, '"/etc" is a directory'],
  [`${start}exec: "/x": permission denied: unknown`, "chmod +x"],
  [`${start}exec: "/x": exec format error: unknown`, "not built for this machine's processor"],
  [
    "Bind for 0.0.0.0:80 failed: port is already allocated (container a has it)",
    "by the container a already",
  ],
  ["Bind for 0.0.0.0:80 failed: port is already allocated", "by another container"],
  ["listen tcp4 0.0.0.0:80: bind: address already in use", "listens on 0.0.0.0:80 already"],
  ["network blue not found", "The network blue is gone"],
  ["unable to find user bob: no matching entries in passwd file", "The user bob is not in"],
  ["bind source path does not exist: /a/b", "/a/b that is to be mounted does not exist"],
  ["the moon is wrong", "It could not be started: the moon is wrong."],
]
for (const [error, says] of failures)
  test(`not started: ${JSON.stringify(error.slice(-60))}`, () => {
    const said = tell(container({ Status: "created", ExitCode: 127, Error: error }))
    expect(said).toStartWith("web did not start: serve --all\n")
    expect(said).toContain(says)
    expect(said).not.toContain("no output")
  })

test("memory", () => {
  const killed = { ExitCode: 137, OOMKilled: true }
  expect(tell(container(killed, { HostConfig: { Memory: 10 * 1024 * 1024 } }))).toContain("limit of 10 MiB")
  expect(tell(container(killed))).toContain("this machine ran out of memory")
  expect(tell(container({ Status: "running", OOMKilled: true }))).toContain("One of its processes was killed")
})

test("a missing library, by what the loader said", () => {
  const lines = ["app: error while loading shared libraries: libx.so.1: cannot open shared object file"]
  expect(tell(container({ ExitCode: 127 }), { lastLines: lines })).toContain("needs the library libx.so.1,")
})

test("health, restarts, image, last words", () => {
  const Health = { Status: "unhealthy", FailingStreak: 4, Log: [{ ExitCode: 1, Output: "bad\n" }] }
  expect(tell(container({ Status: "running", Health }))).toBe(
    "web runs and is unhealthy: serve --all\nIts health check has failed 4 times in a row, the last time with code 1, and said: bad.",
  )
  const always = { RestartPolicy: { Name: "always", MaximumRetryCount: 0 } }
  const looping = container({ Status: "restarting", ExitCode: 1 }, { RestartCount: 2, HostConfig: always })
  expect(tell(looping)).toContain("restart loop: its restart policy (always) has started it again twice")
  const limited = { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 } }
  expect(tell(container({ ExitCode: 1 }, { RestartCount: 3, HostConfig: limited }))).toContain("gave up")
  const said = tell(container({ ExitCode: 1 }), { lastLines: ["a", "b"], imageExists: false })
  expect(said).toContain("Its image site:1 is gone")
  expect(said).toEndWith("Its last words:\n    a\n    b")
})

test("what waits to be started, or to go on", () => {
  expect(tell(container({ Status: "created" }))).toBe(
    "web was created but never started: `sloop start web` starts it.",
  )
  expect(tell(container({ Status: "paused" }))).toContain("sloop unpause web")
})
