// sloop build
import { failure } from "../../../base/errors.ts"
import { buildFlags } from "../../build/flags.ts"
import { prepareBuild } from "../../build/request.ts"
import { runBuild } from "../../build/run.ts"
import { chooseForm, type Form } from "../../build/show.ts"
import type { Parsed } from "../../flags.ts"
import type { Context, Verb } from "../../verb.ts"

const INTERRUPTED = 130

export const verb: Verb = {
  usage: "[OPTIONS] PATH | URL | -",
  summary: "Build an image from a Dockerfile",
  flags: buildFlags,
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const form = chooseForm(
      context,
      parsed.string("progress"),
      parsed.given("progress"),
      parsed.bool("quiet"),
    )
    const stop = new AbortController()
    const interrupt = () => stop.abort(failure("cancelled", "interrupted"))
    process.once("SIGINT", interrupt)
    process.once("SIGTERM", interrupt)
    try {
      return parsed.bool("watch")
        ? await buildOnChange(context, parsed, form, stop.signal)
        : await buildOnce(context, parsed, form, stop.signal)
    } catch (error) {
      if (!stop.signal.aborted) throw error
      context.warn("ERROR: failed to build: cancelled")
      return INTERRUPTED
    } finally {
      process.off("SIGINT", interrupt)
      process.off("SIGTERM", interrupt)
    }
  },
}

async function buildOnce(context: Context, parsed: Parsed, form: Form, signal: AbortSignal): Promise<number> {
  const build = await prepareBuild(context, parsed)
  const { code, result } = await runBuild(context, build, { form, debug: parsed.bool("debug"), signal })
  if (
    result !== undefined &&
    (parsed.string("iidfile") || parsed.string("metadata-file") || parsed.list("cache-to").length > 0)
  ) {
    const { writeResults } = await import("../../build/results.ts")
    await writeResults(parsed, build, result)
  }
  return code
}

async function buildOnChange(
  context: Context,
  parsed: Parsed,
  form: Form,
  signal: AbortSignal,
): Promise<number> {
  const first = await prepareBuild(context, parsed)
  if (first.directory === undefined)
    throw failure("invalid", "--watch needs a directory to watch: give one instead of - or a URL")
  const { watchContext } = await import("../../build/watch.ts")
  const watch = watchContext(first.directory, first.request.DockerfilePath ?? "Dockerfile", signal)
  try {
    for (;;) {
      await buildOnce(context, parsed, form, signal).catch((error: unknown) => {
        if (signal.aborted) throw error
        context.warn(error instanceof Error ? error.message : String(error))
      })
      context.warn(`Watching ${first.directory} for changes; end with Ctrl-C`)
      const paths = await watch.changed()
      if (signal.aborted) return 0
      context.warn(
        `\nChanged: ${paths.slice(0, 3).join(", ")}${paths.length > 3 ? `, and ${paths.length - 3} more` : ""}`,
      )
    }
  } catch (error) {
    if (signal.aborted) return 0
    throw error
  } finally {
    watch.close()
  }
}
