// Git repositories: one commit, fetched shallow, checked out once and kept; the host's git does it.
import { lstatSync, readdirSync, realpathSync, rmSync } from "node:fs"
import { join, sep } from "node:path"
import { allocatedBytes } from "../../base/allocated.ts"
import { Failure, failure } from "../../base/errors.ts"
import { KeyedMutex } from "../../base/keyed-mutex.ts"
import type { Material } from "../build.ts"
import { BuildFailure } from "../failure.ts"
import type { GitNode } from "../graph/graph.ts"
import type { StepRun } from "../operations/operations.ts"
import type { BuildRooms } from "../rooms.ts"
import type { Tree } from "../solver/solver.ts"
import { type GitAccess, openAccess } from "./git-access.ts"
import { GitFailure } from "./git-command.ts"
import {
  checkRef,
  checkRepository,
  checkSubdirectory,
  chooseRef,
  defaultBranch,
  type FoundRef,
  isCommit,
} from "./git-reference.ts"
import { openTree } from "./local/tree.ts"
import { openShelf, type Place, type Shelf } from "./shelf.ts"
import { patience } from "./stalling.ts"

export type Repository = Pick<GitNode, "url" | "ref" | "subdirectory" | "keepGitDirectory" | "checksum">

export interface Checkout {
  readonly commit: string
  /** The subdirectory that was asked for. */
  readonly directory: string
  readonly material: Material
  release(): void
}

export interface GitSource {
  fetch(
    node: GitNode,
    run: StepRun,
  ): Promise<{ readonly tree: Tree; readonly material: Material; release(): void }>
  key(node: GitNode, run: StepRun): Promise<string | undefined>
  /** The files themselves, held until `release`. */
  checkout(repository: Repository, run: StepRun): Promise<Checkout>
  readonly shelf: Shelf
}

const failed = (doing: string, error: unknown): unknown =>
  error instanceof GitFailure
    ? new BuildFailure("unavailable", `${doing}: ${error.message}`, {}, { cause: error })
    : error

const checkChecksum = (checksum: string): void => {
  if (checksum !== "" && !/^[0-9a-fA-F]+$/.test(checksum))
    throw failure("invalid", `invalid checksum ${checksum} for Git URL, expected hex commit hash`)
}

const requireChecksum = ({ checksum }: Repository, commit: string): void => {
  if (checksum !== "" && !commit.startsWith(checksum.toLowerCase()))
    throw new BuildFailure("invalid", `expected checksum to match ${checksum}, got ${commit}`, {})
}

/** What the address means now. A whole commit id needs no asking. */
const findCommit = async (repository: Repository, access: GitAccess): Promise<FoundRef> => {
  const { ref, checksum, keepGitDirectory } = repository
  const { shown, remote, git } = access
  if (isCommit(checksum) && !keepGitDirectory) return { commit: checksum, ref: isCommit(ref) ? "" : ref }
  if (isCommit(ref)) {
    requireChecksum(repository, ref)
    return { commit: ref, ref: "" }
  }
  const words = ref === "" ? ["--symref", "--", remote, "HEAD"] : ["--", remote, ref, `${ref}^{}`]
  const listing = await git(["ls-remote", ...words]).catch((error: unknown) => {
    throw failed(`failed to fetch remote ${shown}`, error)
  })
  const found = ref === "" ? defaultBranch(listing) : chooseRef(ref, listing)
  if (found === undefined)
    throw new BuildFailure(
      "not-found",
      ref === ""
        ? `could not find default branch for repository: ${shown}`
        : `repository does not contain ref ${ref}, output: ${JSON.stringify(listing)}`,
      {},
    )
  requireChecksum(repository, found.commit)
  return found
}

const said = (error: unknown, words: RegExp): boolean => error instanceof GitFailure && words.test(error.text)

/** Fetches a commit as shallow as the server lets: by the ref's name, by its id, or with all that leads to it. */
const fetchCommit = async ({ commit, ref }: FoundRef, { git, remote }: GitAccess): Promise<void> => {
  const fetch = async (depth: boolean, ...refspecs: string[]): Promise<void> => {
    // The new repository's own first branch may have the name of the one that comes.
    const shallow = depth ? ["--depth=1", "--no-tags"] : ["--tags"]
    const options = [...shallow, "--force", "--no-recurse-submodules", "--progress", "--update-head-ok"]
    try {
      await git(["fetch", ...options, "--", remote, ...refspecs])
    } catch (error) {
      // Plain file servers know no depth.
      if (!depth || !said(error, /--depth|shallow/)) throw error
      await fetch(false, ...refspecs)
    }
  }
  const isHere = async (): Promise<boolean> =>
    git(["cat-file", "-e", `${commit}^{commit}`]).then(
      () => true,
      (error: unknown) => {
        if (error instanceof GitFailure) return false
        throw error
      },
    )
  if (ref.startsWith("refs/")) {
    await fetch(true, `+${ref}:${ref}`)
    if (await isHere()) return
  }
  try {
    await fetch(true, commit)
  } catch (error) {
    if (!said(error, /not our ref|unadvertised object|no such remote ref|couldn't find remote ref/i))
      throw error
    await fetch(false, "+refs/heads/*:refs/remotes/origin/*")
  }
  if (!(await isHere()))
    throw new BuildFailure("not-found", `the repository does not contain the commit ${commit}`, {})
}

const gitFilesIn = (directory: string): string[] =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.name === ".git") return [path]
    return entry.isDirectory() ? gitFilesIn(path) : []
  })

const bytesIn = (directory: string, seen: Set<string> = new Set()): number =>
  readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(directory, entry.name)
    return sum + allocatedBytes(path, seen) + (entry.isDirectory() ? bytesIn(path, seen) : 0)
  }, 0)

/** Leaves a repository that tells nothing of how and when it was made. */
const tidy = async (directory: string, { git, shown }: GitAccess): Promise<void> => {
  await git(["remote", "set-url", "origin", shown])
  await git(["reflog", "expire", "--all", "--expire=now"])
  rmSync(join(directory, ".git", "FETCH_HEAD"), { force: true })
}

/** Files of one commit in an empty directory. */
const fill = async (
  directory: string,
  repository: Repository,
  found: FoundRef,
  access: GitAccess,
): Promise<void> => {
  const { git, remote, shown } = access
  await git(["init", "--quiet", "--template=", "."])
  await git(["remote", "add", "--", "origin", remote])
  try {
    await fetchCommit(found, access)
  } catch (error) {
    throw failed(`failed to fetch remote ${shown}`, error)
  }
  try {
    await git(["checkout", "--quiet", "--force", "--detach", found.commit])
  } catch (error) {
    throw failed(`failed to checkout remote ${shown}`, error)
  }
  const modules = lstatSync(join(directory, ".gitmodules"), { throwIfNoEntry: false })
  if (modules?.isFile() === true)
    try {
      await git(["submodule", "update", "--init", "--recursive", "--depth=1", "--progress"])
    } catch (error) {
      throw failed(`failed to update submodules for ${shown}`, error)
    }
  if (repository.keepGitDirectory) await tidy(directory, access)
  else for (const path of gitFilesIn(directory)) rmSync(path, { recursive: true, force: true })
}

/**
 * The checkout is the engine's own and nobody writes to it: what a link in it leads to is looked at once, and must lie
 * within it.
 */
const subdirectoryOf = (checkout: string, path: string): string => {
  if (path === "") return checkout
  const root = realpathSync(checkout)
  let real: string
  try {
    real = realpathSync(join(root, path))
  } catch (cause) {
    throw new BuildFailure(
      "not-found",
      `failed to open subdir ${path}: no such file or directory`,
      {},
      { cause },
    )
  }
  if (real !== root && !real.startsWith(`${root}${sep}`))
    throw new BuildFailure("invalid", `failed to open subdir ${path}: it leads out of the repository`, {})
  if (!lstatSync(real).isDirectory())
    throw new BuildFailure("invalid", `failed to open subdir ${path}: it is not a directory`, {})
  return real
}

/** `stall`: milliseconds of silence after which a fetch is given up. */
export const openGit = (rooms: BuildRooms, options: { readonly stall?: number } = {}): GitSource => {
  const stall = options.stall ?? patience.stall
  const shelf = openShelf(rooms, "git", "source.git.checkout")
  const mutex = new KeyedMutex()
  /** Within one build a ref means one commit. */
  const meant = new WeakMap<object, Map<string, Promise<FoundRef>>>()

  const check = (repository: Repository): Repository => {
    const { url, ref, checksum } = repository
    checkRepository(url)
    if (ref !== "") checkRef(ref)
    checkChecksum(checksum)
    return { ...repository, subdirectory: checkSubdirectory(repository.subdirectory) }
  }

  const withAccess = async <T>(
    { url }: Repository,
    directory: string | undefined,
    run: StepRun,
    work: (access: GitAccess) => Promise<T>,
  ): Promise<T> => {
    const access = await openAccess(rooms, url, directory, stall, run)
    try {
      return await work(access)
    } catch (error) {
      if (run.signal.aborted && !(error instanceof Failure && error.kind === "cancelled"))
        throw failure("cancelled", "context canceled", { cause: error })
      throw error
    } finally {
      access.close()
    }
  }

  const find = (repository: Repository, run: StepRun): Promise<FoundRef> => {
    const known = meant.get(run.request) ?? new Map<string, Promise<FoundRef>>()
    meant.set(run.request, known)
    const { url, ref, checksum, keepGitDirectory } = repository
    const key = JSON.stringify([url, ref, checksum, keepGitDirectory])
    const before = known.get(key)
    if (before !== undefined) return before
    const found = withAccess(repository, undefined, run, (access) => findCommit(repository, access))
    known.set(key, found)
    found.catch(() => known.delete(key))
    return found
  }

  const bring = async (repository: Repository, found: FoundRef, run: StepRun): Promise<Place> => {
    const { url, keepGitDirectory } = repository
    const key = JSON.stringify([url, found.commit, keepGitDirectory ? `.git ${found.ref}` : ""])
    return mutex.run(key, async () => {
      const before = shelf.find(key)
      if (before !== undefined) return before
      const fresh = shelf.begin()
      try {
        const shown = await withAccess(repository, fresh.directory, run, async (access) => {
          await fill(fresh.directory, repository, found, access)
          return access.shown
        })
        const description = `git snapshot for ${shown}#${repository.ref || found.commit}`
        const bytes = bytesIn(fresh.directory)
        return await fresh.keep({ key, description, bytes, memory: { commit: found.commit } })
      } catch (error) {
        await fresh.drop().catch(() => undefined)
        throw error
      }
    })
  }

  const checkout: GitSource["checkout"] = async (given, run) => {
    const repository = check(given)
    const found = await find(repository, run)
    const place = await bring(repository, found, run)
    const release = shelf.use(place)
    try {
      const directory = subdirectoryOf(place.directory, repository.subdirectory)
      const shown = given.url.replace(/^([a-z]+:\/\/)[^/@]*@/i, "$1")
      const uri = given.ref === "" ? shown : `${shown}#${given.ref}`
      return { commit: found.commit, directory, material: { uri, digest: `sha1:${found.commit}` }, release }
    } catch (error) {
      release()
      throw error
    }
  }

  return {
    shelf,
    checkout,
    async fetch(node, run) {
      const { directory, material, release } = await checkout(node, run)
      const context = openTree(rooms, directory, { signal: run.signal, lasts: false })
      return { tree: { kind: "context", context }, material, release }
    },
    async key(node, run) {
      const repository = check(node)
      const { commit, ref } = await find(repository, run)
      const { subdirectory, keepGitDirectory } = repository
      return [commit, ...(keepGitDirectory ? [`.git#${ref}`] : []), `:${subdirectory}`].join("")
    },
  }
}
