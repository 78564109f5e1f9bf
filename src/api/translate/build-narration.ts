// A build told as dockerd's classic builder tells it: step by step in the order of the Dockerfile, although stages run at once.
import { createHash } from "node:crypto"
import { shortId } from "../../base/ids.ts"
import type { BuildEvent } from "../../build/build.ts"

type Plan = Extract<BuildEvent, { type: "plan" }>
type ToldStep = Plan["stages"][number]["steps"][number]

/** Characters that are kept of a step whose turn has not come; what comes after them is left out. */
const MOST_KEPT = 4 * 1024 * 1024

/** What one step has come to. */
interface Work {
  state: "waiting" | "running" | "cached" | "done" | "failed"
  /** Output that waits for the step's turn. */
  readonly output: string[]
  kept: number
  chainId: string
}

interface Line {
  readonly text: string
  readonly vertex: string
  readonly kind: "from" | "argument" | "config" | "run" | "files"
  /** Config steps: what they are, to be known again. */
  readonly identity: string
  readonly firstOfStage: boolean
  readonly triggers: number
  readonly trigger: boolean
  /** Name of its stage, and "" else. */
  readonly stage: string
  /** FROM: id of the image; the word behind FROM. */
  readonly image: string
  readonly base: string
}

const REMEMBERED = 20_000

/** Config steps make nothing that a cache could hold: which were told before is remembered while the daemon lives. */
export class ToldBefore {
  readonly #ids = new Set<string>()

  /** Whether it was told before; from now on it was. */
  tell(id: string): boolean {
    if (this.#ids.has(id)) return true
    if (this.#ids.size >= REMEMBERED) this.#ids.clear()
    this.#ids.add(id)
    return false
  }
}

export interface NarrationOptions {
  readonly write: (text: string) => void
  /** For the ids of containers that there are none of; unique to the build. */
  readonly buildId: string
  readonly removes: boolean
  readonly noCache: boolean
  /** Labels that the client gave: dockerd's last step. */
  readonly labels: ReadonlyMap<string, string>
  readonly buildArgs: ReadonlyMap<string, string>
  readonly toldBefore: ToldBefore
}

/** Takes events as they come and writes dockerd's lines as soon as their turn has come. */
export class Narration {
  readonly #options: NarrationOptions
  readonly #works = new Map<string, Work>()
  readonly #decoders = new Map<string, TextDecoder>()
  #lines: readonly Line[] = []
  #at = 0
  #begun = false
  #runsShown = false
  /** Warnings of no rule: dockerd has those too. */
  readonly warnings: string[] = []
  /** What stands for the states that stages ended with, by their names. */
  readonly #stages = new Map<string, string>()
  /** Id that stands for the state after the last told step. */
  #state = ""
  /** A step of the present stage was made anew: dockerd takes nothing after it from its cache. */
  #fresh = false

  constructor(options: NarrationOptions) {
    this.#options = options
  }

  report(event: BuildEvent): void {
    switch (event.type) {
      case "plan":
        this.#lines = linesOf(event, this.#options.labels)
        break
      case "vertex": {
        const { vertex } = event
        const work = this.#work(vertex.digest)
        if (vertex.error !== "") work.state = "failed"
        else if (vertex.completedAt !== undefined) work.state = vertex.cached ? "cached" : "done"
        else if (vertex.cached) work.state = "cached"
        else if (vertex.startedAt !== undefined) work.state = "running"
        break
      }
      case "log":
        this.#log(event)
        break
      case "result":
        this.#work(event.vertex).chainId = event.chainId
        break
      case "warning":
        if (event.warning.rule === "") this.warnings.push(event.warning.message)
        return
      case "status":
        return
    }
    this.#advance()
  }

  /** Tells what is left of a build that went well. */
  finish(imageId: string): void {
    for (const line of this.#lines.slice(this.#at)) {
      const work = this.#work(line.vertex)
      if (work.state === "waiting" || work.state === "running") work.state = "cached"
    }
    this.#advance(imageId)
  }

  /** Tells of the step that failed, though earlier ones may not have ended. */
  fail(vertex: string | undefined): void {
    const at = vertex === undefined ? -1 : this.#lines.findIndex((line) => line.vertex === vertex)
    const line = this.#lines[at]
    if (line === undefined || at < this.#at) return
    if (at > this.#at) {
      this.#at = at
      this.#begun = false
    }
    this.#begin(line)
    this.#flush(line)
  }

  #work(vertex: string): Work {
    let work = this.#works.get(vertex)
    if (work === undefined) {
      work = { state: "waiting", output: [], kept: 0, chainId: "" }
      this.#works.set(vertex, work)
    }
    return work
  }

  #log({ vertex, stream, bytes }: Extract<BuildEvent, { type: "log" }>): void {
    const key = `${vertex} ${stream}`
    let decoder = this.#decoders.get(key)
    if (decoder === undefined) {
      decoder = new TextDecoder()
      this.#decoders.set(key, decoder)
    }
    const text = decoder.decode(bytes, { stream: true })
    if (text === "") return
    const work = this.#work(vertex)
    if (work.state === "waiting") work.state = "running"
    work.kept += text.length
    if (work.kept > MOST_KEPT) return
    work.output.push(stream === 2 ? `\u001b[91m${text}\u001b[0m` : text)
  }

  #advance(imageId?: string): void {
    for (;;) {
      const line = this.#lines[this.#at]
      if (line === undefined) return
      // The last line names the image, which is known at the end only.
      const last = this.#at === this.#lines.length - 1
      this.#begin(line)
      const work = this.#work(line.vertex)
      if (line.vertex !== "") {
        if (work.state === "running" || work.state === "done" || work.state === "failed") this.#flush(line)
        if (work.state !== "cached" && work.state !== "done") return
        // What a step became is told right after its end, and its id is made of that.
        if (!line.firstOfStage && work.chainId === "" && imageId === undefined) return
      }
      if (last && imageId === undefined) return
      this.#end(line, last ? imageId : undefined)
      this.#at++
      this.#begun = false
    }
  }

  #begin(line: Line): void {
    if (this.#begun) return
    this.#begun = true
    this.#runsShown = false
    if (line.trigger) return
    this.#options.write(
      `Step ${this.#number(this.#at)}/${this.#number(this.#lines.length - 1)} : ${line.text}`,
    )
    this.#options.write("\n")
  }

  /** Triggers are not counted. */
  #number(index: number): number {
    return this.#lines.slice(0, index + 1).filter(({ trigger }) => !trigger).length
  }

  #flush(line: Line): void {
    const work = this.#work(line.vertex)
    if (line.kind === "run") this.#showRun(line)
    for (const text of work.output.splice(0)) this.#options.write(text)
    work.kept = 0
  }

  #showRun(line: Line): void {
    if (this.#runsShown) return
    this.#runsShown = true
    this.#options.write(` ---> Running in ${this.#container(line)}\n`)
  }

  #container = (line: Line): string =>
    hash(this.#options.buildId, line.vertex, line.identity, String(this.#at)).slice(0, 12)

  #end(line: Line, imageId: string | undefined): void {
    const { write, toldBefore, removes, noCache, buildArgs } = this.#options
    if (line.kind === "argument") return
    const work = this.#work(line.vertex)
    if (line.firstOfStage) {
      this.#fresh = false
      this.#state =
        line.base === "scratch"
          ? ""
          : (this.#stages.get(line.base) ?? (line.image.replace(/^sha256:/, "") || hash("base", line.text)))
      if (line.triggers > 0) {
        write(`# Executing ${line.triggers} build trigger`)
        if (line.triggers > 1) write("s")
        write("\n")
        return
      }
    } else {
      const before = this.#state
      this.#state = hash(before, line.identity, work.chainId, JSON.stringify([...buildArgs]))
      const known = toldBefore.tell(this.#state)
      const cached = line.vertex === "" ? known && !noCache && !this.#fresh : work.state === "cached"
      this.#fresh ||= !cached
      if (cached) write(" ---> Using cache\n")
      else if (line.kind === "run" || line.kind === "config") {
        this.#showRun(line)
        if (removes) write(`Removing intermediate container ${this.#container(line)}\n`)
      }
    }
    if (line.stage !== "") this.#stages.set(line.stage, this.#state)
    // Of several triggers only the last tells what the stage has become.
    if (line.trigger && this.#lines[this.#at + 1]?.trigger) return
    const shown = imageId === undefined ? this.#state.slice(0, 12) : shortId(imageId)
    write(` ---> ${shown}\n`)
  }
}

const hash = (...parts: readonly string[]): string =>
  createHash("sha256").update(parts.join("\0")).digest("hex")

function linesOf({ globalArgs, stages }: Plan, labels: ReadonlyMap<string, string>): Line[] {
  const plain = {
    vertex: "",
    firstOfStage: false,
    triggers: 0,
    trigger: false,
    stage: "",
    image: "",
    base: "",
  }
  const given = [...labels].sort(([a], [b]) => (a < b ? -1 : 1))
  const label = `LABEL ${given.map(([key, value]) => `${key}=${value}`).join(" ")}`
  return [
    ...globalArgs.map((text): Line => ({ ...plain, text, kind: "argument", identity: text })),
    ...stages.flatMap(({ name, steps }) =>
      steps.map(
        (step, index): Line => ({
          stage: name.toLowerCase(),
          image: step.image ?? "",
          base: index === 0 ? baseOf(step.original) : "",
          text: step.original,
          vertex: step.vertex,
          kind: kindOf(step, index),
          identity: step.original,
          firstOfStage: index === 0,
          triggers: index === 0 ? steps.filter(({ trigger }) => trigger).length : 0,
          trigger: step.trigger,
        }),
      ),
    ),
    ...(given.length === 0 ? [] : [{ ...plain, text: label, kind: "config" as const, identity: label }]),
  ]
}

function kindOf({ original, vertex }: ToldStep, index: number): Line["kind"] {
  if (index === 0) return "from"
  const keyword = original.split(/\s/, 1)[0]?.toUpperCase() ?? ""
  if (keyword === "RUN" || (keyword === "WORKDIR" && vertex !== "")) return "run"
  return keyword === "COPY" || keyword === "ADD" ? "files" : "config"
}

/** "busybox" of "FROM --platform=linux/amd64 busybox AS one". */
const baseOf = (from: string): string =>
  (
    from
      .split(/\s+/)
      .slice(1)
      .find((word) => !word.startsWith("--")) ?? ""
  ).toLowerCase()
