// The C client of bench/caller: what the API costs when the client costs nothing.
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { promisify } from "node:util"
import { buildProgram } from "../../scripts/launcher.mjs"

export interface Runs {
  /** How the end is waited for. */
  readonly condition: "next-exit" | "removed"
  /** Body of create. */
  readonly body: object
}

const source = join(import.meta.dirname, "..", "caller", "caller.c")

/** Compiles the client; `remove` takes it away again. */
export function buildCaller(): { program: string; remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), "sb-caller-"))
  return {
    program: buildProgram([source], join(directory, "caller")),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** Runs containers of one engine, one after the other, over kept connections. */
export class Caller {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterableIterator<string>

  constructor(program: string, socket: string, { condition, body }: Runs) {
    this.#child = spawn(program, [socket, condition, JSON.stringify(body)], {
      stdio: ["pipe", "pipe", "inherit"],
    })
    if (!this.#child.stdout) throw new Error("the caller has no output")
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Rests, then runs one; milliseconds from its create request to its end known. */
  async run(rest: number): Promise<number> {
    this.#child.stdin?.write(`${rest}\n`)
    const microseconds = Number((await this.#answers.next()).value)
    if (!(microseconds > 0)) throw new Error("a container did not run")
    return microseconds / 1000
  }

  close(): void {
    this.#child.stdin?.end()
  }
}

/** `width` clients at once, `count` containers each; milliseconds for all. */
export async function runTogether(
  program: string,
  socket: string,
  { condition, body }: Runs,
  { width, count }: { width: number; count: number },
): Promise<number> {
  const words = [socket, condition, JSON.stringify(body), String(width), String(count)]
  const { stdout } = await promisify(execFile)(program, words)
  return Number(stdout) / 1000
}
