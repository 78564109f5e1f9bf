// Execs are noted beside their container's sockets, in memory, so that the next engine knows those that run on:
// RUN_ROOT/c/ID/exec-EXECID, gone with the run.
import { readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { errorMessage } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import type { Context } from "../context.ts"
import type { ExecRecord } from "../engine.ts"
import { runDirectory } from "../places.ts"

const log = createLog("engine")

const prefix = "exec-"
/** Ended execs of a container that stay noted: as many as its monitor remembers. */
const keptEnded = 64

const pathOf = (context: Context, containerId: string, execId: string): string =>
  join(runDirectory(context, containerId), `${prefix}${execId}`)

const attempt = (what: string, work: () => void): void => {
  try {
    work()
  } catch (error) {
    // It works without: only an engine that is restarted meanwhile will not know the exec.
    log.debug(what, { error: errorMessage(error) })
  }
}

export class ExecNotes {
  readonly #context: Context
  readonly #ended = new Map<string, string[]>()

  constructor(context: Context) {
    this.#context = context
  }

  /** Notes an exec that is about to start. */
  add(record: ExecRecord): void {
    attempt("an exec could not be noted", () =>
      writeFileSync(pathOf(this.#context, record.containerId, record.id), JSON.stringify(record), {
        mode: 0o600,
      }),
    )
  }

  /** It ended, or never started: it stays noted until enough others have ended after it. */
  end({ id, containerId }: ExecRecord): void {
    const ended = this.#ended.get(containerId) ?? []
    this.#ended.set(containerId, ended)
    ended.push(id)
    if (ended.length > keptEnded) this.#drop(containerId, ended.shift() ?? "")
  }

  /** The container is gone, and its directory with it. */
  forgetContainer(containerId: string): void {
    this.#ended.delete(containerId)
  }

  /** What an earlier engine noted of a container. */
  read(containerId: string): ExecRecord[] {
    const directory = runDirectory(this.#context, containerId)
    const records: ExecRecord[] = []
    attempt("noted execs could not be read", () => {
      for (const name of readdirSync(directory)) {
        if (!name.startsWith(prefix)) continue
        attempt("a noted exec could not be read", () => {
          records.push(JSON.parse(readFileSync(join(directory, name), "utf8")))
        })
      }
    })
    return records
  }

  #drop(containerId: string, execId: string): void {
    attempt("a noted exec could not be removed", () => unlinkSync(pathOf(this.#context, containerId, execId)))
  }
}
