// `sloop run --timing`: where the time between the key press and the end went, as this side sees it.
import type { Output } from "../output.ts"
import type { Context } from "../verb.ts"

/** Steps in their order, each timed from the end of the one before. */
const steps = {
  client: "this program's own start",
  create: "image looked up (and pulled, where it was missing), container created",
  attach: "streams and exit code asked for",
  start: "namespaces, files and network made ready, process begun",
  "first output": "the process' own start, up to the first byte it wrote",
  exit: "the rest of its life, and telling us of its end",
} as const

type Step = keyof typeof steps

export interface Timing {
  /** The step has ended now; only its first end counts. */
  mark(step: Step): void
  /** A context whose output marks its first byte. */
  watch(context: Context): Context
  /** Prints the table on standard error. */
  tell(context: Context): void
}

/** Lines of the table: milliseconds of each step, its share as a bar, and what it is. `at` is in milliseconds since the start. */
export function timingLines(at: ReadonlyMap<string, number>): string[] {
  const passed: (readonly [Step, number])[] = []
  let before = 0
  for (const step of Object.keys(steps) as Step[]) {
    const end = at.get(step)
    if (end === undefined) continue
    passed.push([step, Math.max(0, end - before)])
    before = Math.max(before, end)
  }
  const longest = Math.max(1, ...passed.map(([, took]) => took))
  const rows = passed.map(([step, took]) => {
    const bar = "#".repeat(Math.round((took / longest) * 20))
    return `${step.padEnd(13)}${took.toFixed(1).padStart(9)} ms  ${bar.padEnd(21)}${steps[step]}`
  })
  return [...rows, `${"total".padEnd(13)}${before.toFixed(1).padStart(9)} ms`]
}

/** Begins to take times; the program's start is the first one. */
export function startTiming(): Timing {
  const at = new Map<string, number>()
  // performance.now() counts from the process' own start.
  const mark = (step: Step): void => {
    if (!at.has(step)) at.set(step, performance.now())
  }
  mark("client")
  const watched = (output: Output): Output => ({
    get isTTY() {
      return output.isTTY
    },
    get rows() {
      return output.rows
    },
    get columns() {
      return output.columns
    },
    write(bytes) {
      mark("first output")
      return output.write(bytes)
    },
    settled: () => output.settled(),
  })
  return {
    mark,
    watch: (context) => ({
      ...context,
      stdin: context.stdin,
      out: watched(context.out),
      err: watched(context.err),
    }),
    tell: (context) => context.warn(timingLines(at).join("\n")),
  }
}
