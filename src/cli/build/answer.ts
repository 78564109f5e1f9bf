// Answers what a running build asks for: contexts, secrets, accounts, agents; and takes what it puts out.
import { Failure, failure } from "../../base/errors.ts"
import { credentialsKeyOf } from "../../oci/reference.ts"
import type { AskView } from "../../wire/wire.ts"
import { findAccount } from "../credentials.ts"
import type { Context } from "../verb.ts"
import type { PreparedBuild } from "./request.ts"

/** Bytes for the engine; undefined = there is no such thing. */
type Answer = AsyncIterable<Uint8Array> | Uint8Array | undefined

export class Answers {
  readonly #context: Context
  readonly #build: PreparedBuild
  readonly #path: string
  readonly #running = new Set<Promise<void>>()
  readonly #ends: (() => void)[] = []
  #problem: unknown

  constructor(context: Context, build: PreparedBuild, id: string) {
    this.#context = context
    this.#build = build
    this.#path = `/builds/${id}/asked`
  }

  /** Begins to answer. What goes wrong here is thrown by `settled`. */
  take(ask: AskView): void {
    const running = this.#answer(ask).catch((error: unknown) => {
      this.#problem ??= error
    })
    this.#running.add(running)
    void running.then(() => this.#running.delete(running))
  }

  /** Waits for what is under way. Throws the first thing that went wrong on this side. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
    for (const end of this.#ends.splice(0)) end()
    if (this.#problem !== undefined) throw this.#problem
  }

  async #answer(ask: AskView): Promise<void> {
    const path = `${this.#path}/${ask.number}`
    try {
      if (ask.what === "output" || ask.what === "tree") return await this.#keep(ask, path)
      if (ask.what === "cache-write") return await this.#keepCache(ask, path)
      if (ask.what === "ssh") return await this.#join(ask, path)
      await this.#give(path, await this.#bytes(ask))
    } catch (error) {
      // The build has ended meanwhile: it tells itself why.
      if (
        error instanceof Failure &&
        (error.kind === "not-found" || error.kind === "unavailable") &&
        error.name === "ApiFailure"
      )
        return
      await this.#context.client.call("POST", path, { query: { absent: true } }).catch(() => undefined)
      throw error
    }
  }

  #give(path: string, answer: Answer): Promise<number> {
    const { client } = this.#context
    if (answer === undefined) return client.call("POST", path, { query: { absent: true } })
    return client.call("POST", path, {
      stream: answer instanceof Uint8Array ? once(answer) : answer,
      contentType: "application/octet-stream",
    })
  }

  async #bytes(ask: AskView): Promise<Answer> {
    const { provided, secrets, request } = this.#build
    switch (ask.what) {
      case "secret":
        return secrets.get(ask.id)?.()
      case "credentials": {
        const server = credentialsKeyOf(ask.id)
        const account = await findAccount(this.#context.env, server)
        if (account === undefined) return undefined
        const { username, password, identityToken } = account
        return Buffer.from(
          JSON.stringify({ username, password, identitytoken: identityToken, serveraddress: server }),
        )
      }
      case "context": {
        const found = provided.get(ask.id)
        if (found === undefined || found.type === "layout") return undefined
        if (found.type === "stream") return found.bytes
        const { packContext } = await import("./pack.ts")
        if (ask.id !== "") return packContext(found)
        const { DockerfilePath: dockerfile, DockerfileContext: elsewhere } = request
        if (elsewhere?.Path)
          return packContext(found, { ignoreFile: `${elsewhere.Path}/${dockerfile}.dockerignore` })
        return packContext(found, dockerfile ? { dockerfile } : {})
      }
      case "blob": {
        const found = provided.get(ask.id)
        if (found?.type !== "layout") return undefined
        const { readBlob } = await import("./layout.ts")
        return readBlob(found.path, ask.digest ?? "")
      }
      case "cache-read": {
        const { readBlob } = await import("./layout.ts")
        return readBlob(this.#cacheDirectory(ask.id), ask.digest ?? "")
      }
      case "cache-has": {
        const { hasBlob } = await import("./layout.ts")
        return hasBlob(this.#cacheDirectory(ask.id), ask.digest ?? "") ? new Uint8Array([1]) : undefined
      }
      default:
        return undefined
    }
  }

  /** "from 0", "to 1": of the request's CacheFrom and CacheTo. */
  #cacheDirectory(id: string): string {
    const [direction, index = ""] = id.split(" ")
    const { CacheFrom, CacheTo } = this.#build.request
    const location = (direction === "from" ? CacheFrom : CacheTo)?.[Number(index)]
    const path = (direction === "from" ? location?.Attributes?.src : location?.Attributes?.dest) ?? ""
    if (typeof path !== "string" || path === "")
      throw failure("internal", `there is no cache directory ${id}`)
    return path
  }

  async #keepCache(ask: AskView, path: string): Promise<void> {
    const { body } = await this.#context.client.send("GET", path)
    const { writeBlob } = await import("./layout.ts")
    await writeBlob(this.#cacheDirectory(ask.id), ask.digest ?? "", body)
  }

  async #keep(ask: AskView, path: string): Promise<void> {
    const output = this.#build.outputs[Number(ask.id)]
    if (output?.destination === undefined) throw failure("internal", `there is no output ${ask.id}`)
    const { body } = await this.#context.client.send("GET", path)
    const { keepTree, keepFile } = await import("./keep.ts")
    if (output.tree) await keepTree(body, output.destination)
    else await keepFile(this.#context, body, output.destination)
  }

  async #join(ask: AskView, path: string): Promise<void> {
    const { openAgent } = await import("./agent.ts")
    const agent = this.#build.agents.get(ask.id)
    const opened = agent === undefined ? undefined : await openAgent(agent)
    if (opened === undefined) return void (await this.#give(path, undefined))
    this.#ends.push(opened.end)
    const { socket } = await this.#context.client.hijack(path)
    opened.join(socket)
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
