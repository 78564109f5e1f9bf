// Builds one case with one builder, and reads what came of it.
import { randomBytes } from "node:crypto"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { execute, type Output, type RunOptions } from "../fixtures/execute.ts"
import { buildWords, type Case } from "./cases.ts"
import { type CaseFacts, imageFacts } from "./image-facts.ts"

export interface Builder {
  build(one: Case): Promise<CaseFacts>
}

/** What is left of an error's last line when ids, digests, terminals and each client's own introduction are gone. */
export const errorLine = ({ stdout, stderr }: Output): string => {
  const lines = `${stdout}\n${stderr}`
    .replace(/\x1b\[[0-9;]*[A-Za-z]/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(Build history|View build details|-+$|What's next)/.test(line))
  return (
    (lines.at(-1) ?? "")
      .replace(/^(ERROR: |Error response from daemon: |error: )/i, "")
      .replace(/^failed to build: /, "")
      .replace(/^failed to solve: /, "")
      // dockerd 20.10 says these another way than those after it.
      .replace(/^failed to parse Dockerfile: /, "")
      .replace(/^dockerfile parse error line/, "dockerfile parse error on line")
      .replace(/\/[^ ]*\/cases\/[^/ ]+/g, "<context>")
      .replace(/[a-z0-9]{12,25}::[a-z0-9]{12,25}/g, "<ref>")
      .replace(/[0-9a-f]{64}/g, "<digest>")
      .replace(/\b[0-9a-f]{12}\b/g, "<id>")
      .replace(/(Get|Head) "https?:\/\/[^"]+": .*/, "<unreachable>")
      .replace(/\/tmp\/s[bl][^ ]*\/(merged|buildkit\d+)\//g, "/")
      .replace(/127\.0\.0\.1:\d+/g, "<registry>")
  )
}

/** By a docker-like client whose engine keeps the image: build, save, look, remove. */
export const keepingBuilder = (parts: {
  readonly client: readonly string[]
  readonly verb: readonly string[]
  readonly options: RunOptions
  readonly work: string
  readonly baseDiffIds: ReadonlySet<string>
}): Builder => ({
  async build(one) {
    const tag = `corpus-${randomBytes(6).toString("hex")}:1`
    const words = [...parts.client, ...parts.verb, ...buildWords(one, parts.work), "-t", tag, one.directory]
    const built = await execute(words, { timeout: 120_000, ...parts.options })
    if (built.code !== 0) return { error: errorLine(built) }
    const path = join(parts.work, `${tag.replace(":", "-")}.tar`)
    try {
      const saved = await execute([...parts.client, "save", "-o", path, tag], parts.options)
      if (saved.code !== 0) throw new Error(`${one.name}: save failed: ${saved.stderr}`)
      return imageFacts(readFileSync(path), parts.baseDiffIds)
    } finally {
      rmSync(path, { force: true })
      await execute([...parts.client, "rmi", "-f", tag], parts.options)
    }
  },
})

/** By buildx and a buildkitd, which give the image as an archive. */
export const archivingBuilder = (parts: {
  readonly words: readonly string[]
  readonly options: RunOptions
  readonly work: string
  readonly baseDiffIds: ReadonlySet<string>
}): Builder => ({
  async build(one) {
    const path = join(parts.work, `${one.name}.tar`)
    const output = ["--progress=plain", "--provenance=false", "--output", `type=docker,dest=${path}`]
    const words = [...parts.words, ...buildWords(one, parts.work), ...output, one.directory]
    try {
      const built = await execute(words, { timeout: 120_000, ...parts.options })
      if (built.code !== 0) return { error: errorLine(built) }
      return imageFacts(readFileSync(path), parts.baseDiffIds)
    } finally {
      rmSync(path, { force: true })
    }
  },
})
