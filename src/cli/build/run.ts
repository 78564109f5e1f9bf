// Runs one build: asks the engine, answers what it asks, shows what it tells.
import { failure } from "../../base/errors.ts"
import { readLines } from "../../client/client.ts"
import type { BuildLine } from "../../wire/wire.ts"
import type { Context } from "../verb.ts"
import type { PreparedBuild } from "./request.ts"
import { type Form, openDisplay, type Shown, tellEnd, tellFailure } from "./show.ts"

export interface Ended {
  readonly code: number
  readonly result?: NonNullable<BuildLine["result"]>
}

/** Shows the build to its end. A build that fails is told and gives the exit code 1; what this side cannot do is thrown. */
export async function runBuild(
  context: Context,
  build: PreparedBuild,
  options: { form: Form; debug: boolean; signal: AbortSignal },
): Promise<Ended> {
  const since = Date.now()
  // node:crypto would cost as much as all the rest of this command.
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString("hex")
  const shown = await openDisplay(context, options.form)
  let answers: import("./answer.ts").Answers | undefined
  let last: BuildLine = {}
  try {
    const { body } = await context.client.send("POST", "/builds", {
      body: { ...build.request, Id: id },
      signal: options.signal,
    })
    for await (const line of readLines<BuildLine>(body)) {
      if (line.ask !== undefined) {
        const { Answers } = await import("./answer.ts")
        answers ??= new Answers(context, build, id)
        answers.take(line.ask)
      } else if (line.result ?? line.error ?? line.answer) last = line
      else if (line.id === undefined) shown.display.take(line)
    }
  } finally {
    shown.display.end()
  }
  if (last.error === undefined) await answers?.settled()
  else await answers?.settled().catch(() => undefined)
  return ended(context, build, shown, last, { ...options, since })
}

function ended(
  context: Context,
  build: PreparedBuild,
  shown: Shown,
  { result, error, answer }: BuildLine,
  { form, debug, since }: { form: Form; debug: boolean; since: number },
): Ended {
  if (error !== undefined) {
    tellFailure(context, shown, error)
    return { code: 1 }
  }
  if (answer !== undefined) {
    const json = build.callFormat === "json"
    const text = json ? `${JSON.stringify(answer.json, null, 2)}\n` : answer.text
    void context.out.write(text.endsWith("\n") ? text : `${text}\n`)
    return { code: answer.statusCode }
  }
  if (result === undefined)
    throw failure("unavailable", "the engine ended the build without a word: see its log")
  if (form === "quiet") context.print(idOf(result))
  else if (form !== "rawjson" && form !== "none") tellEnd(context, shown, result, { since, debug })
  return { code: 0, result }
}

/** The image's id, or the digest of what else was made. */
export const idOf = ({ imageId, response }: NonNullable<BuildLine["result"]>): string =>
  imageId ?? response["containerimage.config.digest"] ?? response["containerimage.digest"] ?? ""
