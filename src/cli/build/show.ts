// How a build is told: while it runs, and in the end its warnings, its slowest steps, its failure.
import { failure } from "../../base/errors.ts"
import type { BuildFailureView, BuildLine, WarningView } from "../../wire/wire.ts"
import { shortId } from "../format/units.ts"
import type { Context } from "../verb.ts"
import { clock, type Display, Plain } from "./plain.ts"
import { type Step, seconds, Trace } from "./trace.ts"

const FORMS = ["auto", "tty", "plain", "rawjson", "quiet", "none"] as const
export type Form = (typeof FORMS)[number]

/** Steps faster than this are not worth naming. */
const SLOW = 0.5

/** What --progress, -q and BUILDKIT_PROGRESS ask for. Throws invalid. */
export function chooseForm(
  context: Context,
  asked: string | undefined,
  given: boolean,
  quiet: boolean,
): Form {
  if (quiet) return "quiet"
  const name = given ? asked : context.env.BUILDKIT_PROGRESS || asked
  const form = FORMS.find((known) => known === (name || "auto"))
  if (form === undefined)
    throw failure("invalid", `invalid progress "${name}": use one of ${FORMS.join(", ")}`)
  if (form !== "auto") return form
  return context.err.isTTY ? "tty" : "plain"
}

const silent: Display = { take: () => {}, end: () => {} }

export interface Shown {
  readonly trace: Trace
  readonly display: Display
}

export async function openDisplay(context: Context, form: Form): Promise<Shown> {
  const trace = new Trace()
  const { err } = context
  if (form === "tty" && err.isTTY) {
    const { Screen } = await import("./screen.ts")
    const colours = !context.env.NO_COLOR && context.env.TERM !== "dumb"
    return { trace, display: new Screen(err, trace, colours) }
  }
  if (form === "plain" || form === "tty") return { trace, display: new Plain(err, trace) }
  if (form === "rawjson") return { trace, display: raw(context) }
  return { trace, display: { ...silent, take: (line) => void trace.take(line) } }
}

/** buildx's rawjson: the lines as they are, without what is our own. */
const raw = (context: Context): Display => ({
  take({ vertexes, statuses, logs, warnings }) {
    if (vertexes ?? statuses ?? logs ?? warnings)
      context.warn(JSON.stringify({ vertexes, statuses, logs, warnings }))
  },
  end: () => {},
})

/** Warnings, the slowest steps, the image. */
export function tellEnd(
  context: Context,
  { trace }: Shown,
  result: NonNullable<BuildLine["result"]>,
  options: { since: number; debug: boolean },
): void {
  tellWarnings(context, trace.warnings, options.debug)
  const { total, cached } = trace.instructions
  const slow = [...trace.steps.values()]
    .filter((step) => !step.cached && seconds(step) >= SLOW && !step.name.startsWith("[internal]"))
    .sort((a, b) => seconds(b) - seconds(a))
    .slice(0, 3)
  const names = result.response["image.name"]?.split(",").filter(Boolean) ?? []
  const image = result.imageId === undefined ? undefined : `image ${shortId(result.imageId)}`
  const made = [image, ...names].filter((text) => text !== undefined).join(" ")
  const lasted = ((Date.now() - options.since) / 1000).toFixed(1)
  context.warn("")
  context.warn(`Built ${made || "without an image"} in ${lasted}s, ${cached} of ${total} steps cached`)
  if (slow.length > 0)
    context.warn(`Slowest: ${slow.map((step) => `${step.name} ${seconds(step).toFixed(1)}s`).join(", ")}`)
}

const decoded = (text: string): string => Buffer.from(text, "base64").toString("utf8")

function tellWarnings(context: Context, warnings: readonly WarningView[], debug: boolean): void {
  if (warnings.length === 0) return
  context.warn("")
  const hint = debug ? "" : " (use --debug to expand)"
  context.warn(` ${warnings.length} warning${warnings.length === 1 ? "" : "s"} found${hint}:`)
  for (const { short, detail = [], url, range } of warnings) {
    const place = range?.[0] === undefined ? "" : ` (line ${range[0].start.line})`
    context.warn(` - ${decoded(short)}${place}`)
    if (!debug) continue
    for (const line of detail) context.warn(`   ${decoded(line)}`)
    if (url !== undefined) context.warn(`   More info: ${url}`)
  }
}

/** The failed step's last lines, the lines of the Dockerfile, the sentence. */
export function tellFailure(context: Context, { trace }: Shown, error: BuildFailureView): void {
  const step = failedStep(trace, error.vertex)
  if (step !== undefined && (step.log.length > 0 || step.partial !== "")) {
    const rest = trace.rest(step)
    void rest
    context.warn(`------\n > ${step.name}:`)
    for (const { at, text } of step.log.slice(-20)) context.warn(`${clock(at)} ${text}`)
    context.warn("------")
  }
  tellWarnings(context, trace.warnings, false)
  if (error.excerpt) context.warn(error.excerpt)
  // buildx's words, which people and scripts look for.
  const solving = error.message.startsWith("failed to solve") ? "" : "failed to solve: "
  context.warn(`ERROR: failed to build: ${solving}${error.message}`)
}

const failedStep = (trace: Trace, vertex: string | undefined): Step | undefined =>
  (vertex === undefined ? undefined : trace.steps.get(vertex)) ??
  [...trace.steps.values()].find(({ error }) => error !== "" && !/cancel/.test(error))
