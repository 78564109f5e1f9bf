// What a build may show to a Git server: tokens among its secrets, a name in the address, the client's SSH agent.
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type { StepRun } from "../operations/operations.ts"
import type { BuildRooms } from "../rooms.ts"
import { runGit } from "./git-command.ts"
import { serveAgent } from "./ssh-agent.ts"

export interface GitAccess {
  /** For git: without a name and password, which go by another way. */
  readonly remote: string
  /** For people and provenance. */
  readonly shown: string
  git(words: readonly string[]): Promise<string>
  close(): void
}

/** Where a token for an address may go: to that repository; on github.com to all, as its own tools do. */
const scopeOf = (remote: string): string =>
  ["https://github.com/", "https://www.github.com/"].find((prefix) => remote.startsWith(prefix)) ?? remote

const basic = (pair: string): string => `basic ${Buffer.from(pair).toString("base64")}`

/** The header that a secret of the build makes, the one of the host before the one for all. */
const secretHeader = async (host: string, run: StepRun): Promise<string | undefined> => {
  for (const suffix of [`.${host}`, ""])
    for (const name of ["GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"]) {
      const bytes = await run.request.secrets(`${name}${suffix}`, run.signal)
      if (bytes === undefined) continue
      const secret = new TextDecoder().decode(bytes).trim()
      return name === "GIT_AUTH_TOKEN" ? basic(`x-access-token:${secret}`) : secret
    }
  return undefined
}

interface Login {
  readonly remote: string
  readonly header: string | undefined
}

const loginOf = async (url: string, run: StepRun): Promise<Login> => {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return { remote: url, header: undefined }
  const parsed = new URL(url)
  const { username, password, host } = parsed
  const remote = url.replace(/^([a-z]+:\/\/)[^/@]*@/i, "$1")
  if (username !== "" || password !== "")
    return { remote, header: basic(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`) }
  return { remote, header: await secretHeader(host, run) }
}

const isSsh = (url: string): boolean => /^ssh:\/\//i.test(url) || !/^[a-z0-9]+:\/\//i.test(url)

/** Whole lines alone: of what was drawn over again and again, the last. */
const lineTeller = (tell: (line: string) => void): ((bytes: Uint8Array) => void) => {
  const decoder = new TextDecoder()
  let rest = ""
  return (bytes) => {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) tell(`${line.slice(line.replace(/\r$/, "").lastIndexOf("\r") + 1).trimEnd()}\n`)
  }
}

/** `directory` is where git works; undefined when it works on no repository. To be closed when it is not needed any more. */
export const openAccess = async (
  rooms: Pick<BuildRooms, "root" | "runRoot">,
  url: string,
  directory: string | undefined,
  stall: number,
  run: StepRun,
): Promise<GitAccess> => {
  const { remote, header } = await loginOf(url, run)
  const shown = remote.replace(/^(ssh:\/\/[^/:@]+):[^/@]*@/i, "$1@")
  const home = join(rooms.root, "ssh")
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const agent = isSsh(url)
    ? await serveAgent(run.request.ssh, "default", join(rooms.runRoot, "ssh"))
    : undefined
  // A token is sent to the address that it is for and nowhere else; git keeps it out of what it stores.
  const secretSettings =
    header === undefined ? [] : [[`http.${scopeOf(remote)}.extraHeader`, `Authorization: ${header}`] as const]
  const tell = lineTeller((line) =>
    run.report({ type: "log", vertex: run.vertex, stream: 2, bytes: Buffer.from(line), at: Date.now() }),
  )
  return {
    remote,
    shown,
    git: (words) =>
      runGit(words, {
        directory: directory ?? home,
        secretSettings,
        ...(agent === undefined ? {} : { agent: agent.path }),
        knownHosts: join(home, "known_hosts"),
        signal: run.signal,
        stall,
        purpose: `fetch ${shown}`,
        output: (bytes) => tell(bytes),
      }),
    close: () => agent?.close(),
  }
}
