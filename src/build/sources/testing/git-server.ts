// A Git repository and servers for it on loopback: git's own daemon, and its HTTP backend behind a server of Node's.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer as createHttpServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

export interface GitServers {
  /** Where bare repositories lie: NAME.git. */
  readonly root: string
  /** "git://127.0.0.1:PORT" */
  readonly daemon: string
  /** "http://127.0.0.1:PORT" */
  readonly http: string
  /** Headers of what was asked over HTTP. */
  readonly asked: IncomingHttpHeaders[]
  /** Decides whether an HTTP request is let in; all are unless set. */
  allow: (headers: IncomingHttpHeaders) => boolean
  /** Makes commits in NAME.git: each a map of paths to texts ("-> x" is a link, undefined removes). Gives their ids. */
  commit(
    name: string,
    files: Readonly<Record<string, string>>,
    options?: { branch?: string; tag?: string; annotated?: boolean },
  ): string
  /** Adds a submodule at a path and commits; `url` is written as it is. */
  submodule(name: string, path: string, url: string, commit: string): string
  close(): Promise<void>
}

const environment = {
  PATH: process.env.PATH ?? "/usr/bin:/bin",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "t",
  GIT_AUTHOR_EMAIL: "t@example.org",
  GIT_COMMITTER_NAME: "t",
  GIT_COMMITTER_EMAIL: "t@example.org",
}

const git = (directory: string, ...words: string[]): string => {
  const result = spawnSync("git", words, { cwd: directory, env: environment, encoding: "utf8" })
  if (result.status !== 0) throw new Error(`git ${words.join(" ")}: ${result.stderr}`)
  return result.stdout.trim()
}

const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })

const startDaemon = async (root: string, port: number): Promise<ChildProcess> => {
  const words = [
    "daemon",
    "--reuseaddr",
    "--export-all",
    "--listen=127.0.0.1",
    `--port=${port}`,
    `--base-path=${root}`,
    root,
  ]
  const daemon = spawn("git", words, { env: environment, stdio: "ignore", detached: true })
  for (let tries = 0; tries < 100 && !(await answers(port)); tries++) await Bun.sleep(50)
  return daemon
}

/** The backend as a CGI program. */
const serveBackend = async (servers: Pick<GitServers, "root" | "asked"> & { allow: GitServers["allow"] }) => {
  const server = createHttpServer((request, response) => {
    servers.asked.push(request.headers)
    if (!servers.allow(request.headers)) {
      response.writeHead(401, { "WWW-Authenticate": 'Basic realm="git"' }).end()
      return
    }
    const url = new URL(request.url ?? "/", "http://x")
    const backend = spawn("git", ["http-backend"], {
      env: {
        ...environment,
        GIT_PROJECT_ROOT: servers.root,
        GIT_HTTP_EXPORT_ALL: "1",
        REQUEST_METHOD: request.method ?? "GET",
        PATH_INFO: decodeURIComponent(url.pathname),
        QUERY_STRING: url.search.slice(1),
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
        GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      },
    })
    request.pipe(backend.stdin)
    const chunks: Buffer[] = []
    backend.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
    backend.stdout.on("end", () => {
      const all = Buffer.concat(chunks)
      const end = all.indexOf("\r\n\r\n")
      const headers = all
        .subarray(0, end)
        .toString()
        .split("\r\n")
        .map((line) => line.split(/: (.*)/s))
      const status = Number(headers.find(([name]) => name === "Status")?.[1]?.split(" ")[0] ?? 200)
      for (const [name = "", value = ""] of headers) if (name !== "Status") response.setHeader(name, value)
      response.writeHead(status).end(all.subarray(end + 4))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return server
}

export const startGitServers = async (): Promise<GitServers> => {
  const root = mkdtempSync(join(tmpdir(), "sloop-git-"))
  const port = await freePort()
  const daemon = await startDaemon(root, port)
  const work = join(root, "work")
  mkdirSync(work)

  const workTree = (name: string): string => {
    const bare = join(root, `${name}.git`)
    const tree = join(work, name)
    if (spawnSync("test", ["-d", bare]).status !== 0) {
      git(root, "-c", "init.defaultBranch=main", "init", "-q", "--bare", bare)
      git(root, "-c", "init.defaultBranch=main", "init", "-q", tree)
      git(tree, "remote", "add", "origin", bare)
    }
    return tree
  }
  const push = (tree: string): string => {
    git(tree, "push", "-q", "origin", "--all")
    git(tree, "push", "-q", "origin", "--tags")
    return git(tree, "rev-parse", "HEAD")
  }
  const servers = {
    root,
    daemon: `git://127.0.0.1:${port}`,
    http: "",
    asked: [] as IncomingHttpHeaders[],
    allow: (): boolean => true,
    commit(
      name: string,
      files: Readonly<Record<string, string>>,
      options: { branch?: string; tag?: string; annotated?: boolean } = {},
    ) {
      const tree = workTree(name)
      if (options.branch !== undefined) git(tree, "checkout", "-q", "-B", options.branch)
      for (const [path, text] of Object.entries(files)) {
        const full = join(tree, path)
        mkdirSync(dirname(full), { recursive: true })
        if (text.startsWith("-> ")) symlinkSync(text.slice(3), full)
        else writeFileSync(full, text)
      }
      git(tree, "add", "-A")
      git(tree, "commit", "-q", "--allow-empty", "-m", "a commit")
      if (options.tag !== undefined)
        git(tree, "tag", ...(options.annotated === true ? ["-a", "-m", "a tag"] : []), options.tag)
      return push(tree)
    },
    submodule(name: string, path: string, url: string, commit: string) {
      const tree = workTree(name)
      git(tree, "config", "-f", ".gitmodules", `submodule.${path}.path`, path)
      git(tree, "config", "-f", ".gitmodules", `submodule.${path}.url`, url)
      git(tree, "update-index", "--add", "--cacheinfo", `160000,${commit},${path}`)
      git(tree, "add", ".gitmodules")
      git(tree, "commit", "-q", "-m", "a submodule")
      return push(tree)
    },
    async close() {
      if (daemon.pid !== undefined) process.kill(-daemon.pid, "SIGKILL")
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
      rmSync(root, { recursive: true, force: true })
    },
  }
  const http = await serveBackend({
    root,
    asked: servers.asked,
    allow: (headers) => (servers.allow as GitServers["allow"])(headers),
  })
  servers.http = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  return servers
}
