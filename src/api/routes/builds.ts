// Builds as `sloop build` asks for them: a directory of this machine is named, not sent; what else the builder lacks it asks for.
import { failure } from "../../base/errors.ts"
import { newId } from "../../base/ids.ts"
import type { Builder } from "../../build/build.ts"
import { type BuildLine, buildSchema, type WireBuild } from "../../wire/wire.ts"
import { readJson } from "../body.ts"
import type { Call } from "../call.ts"
import type { Route } from "../route.ts"
import { Exchange } from "../stream/exchange.ts"
import { MOST_WAITING } from "../stream/lines.ts"
import { EventLines, historyView } from "../translate/build-events.ts"
import { failureView } from "../translate/build-failure.ts"
import { ownBuild, ownExports } from "../translate/build-request.ts"

const CALLS = ["check", "outline", "targets"] as const

export function ownBuildRoutes(builder: Builder): Route[] {
  const exchanges = new Map<string, Exchange>()

  async function build(call: Call): Promise<void> {
    const wire = await readJson(call.request, buildSchema)
    if (!wire.Context?.Type)
      throw failure("invalid", "a build needs a Context of one of the types that there are")
    const id = wire.Id === "" ? newId() : wire.Id
    if (!/^[a-zA-Z0-9_-]{8,64}$/.test(id))
      throw failure("invalid", "bad parameter: the id of a build is 8 to 64 letters and digits")
    if (exchanges.has(id)) throw failure("conflict", `a build with the id ${id} runs already`)
    const lines = createLines(call)
    const exchange = new Exchange((ask) => lines.write({ ask }))
    exchanges.set(id, exchange)
    const { gone } = call
    const left = () => exchange.close(failure("cancelled", "the client went away"))
    gone.addEventListener("abort", left)
    lines.write({ id })
    try {
      await run({ ...wire, Id: id }, exchange, lines, gone)
    } catch (error) {
      lines.write({ error: failureView(error) })
    } finally {
      gone.removeEventListener("abort", left)
      exchanges.delete(id)
      exchange.close(failure("cancelled", "the build has ended"))
      lines.end()
    }
  }

  async function run(wire: WireBuild, exchange: Exchange, lines: Lines, signal: AbortSignal): Promise<void> {
    const request = ownBuild(wire, exchange)
    if (wire.Call !== "" && wire.Call !== "build") {
      const what = CALLS.find((known) => known === wire.Call)
      if (what === undefined)
        throw failure("invalid", `unknown call "${wire.Call}": use check, outline or targets`)
      const { shown, text, json, statusCode } = await builder.call(request, what, lines.report, signal)
      lines.write({ answer: { text: shown ?? text, json, statusCode } })
      return
    }
    const { response, imageId } = await builder.build(
      request,
      ownExports(wire, exchange),
      lines.report,
      signal,
    )
    lines.write({
      result: {
        response: Object.fromEntries(response),
        ...(imageId === undefined ? {} : { imageId }),
      },
    })
  }

  const asked = async (call: Call): Promise<void> => {
    const exchange = exchanges.get(call.param("id"))
    if (exchange === undefined) throw failure("not-found", `no build ${call.param("id")} runs`)
    await exchange.answer(Number(call.param("number")), call)
  }

  function remove(call: Call): void {
    const id = call.param("id")
    if (!builder.cancel(id)) {
      if (!builder.history().some((record) => record.id === id))
        throw failure("not-found", `no build has the id ${id}`)
      builder.forget(id)
    }
    call.empty(204)
  }

  const own = { support: "yes" } as const
  return [
    {
      ...own,
      method: "POST",
      path: "/builds",
      summary: "Build in place, from a directory of this machine (Sloop's own)",
      run: build,
    },
    {
      ...own,
      method: "GET",
      path: "/builds",
      summary: "List builds that ran or run (Sloop's own)",
      run: (call) => call.json(builder.history().map(historyView)),
    },
    {
      ...own,
      method: "DELETE",
      path: "/builds/:id",
      summary: "Cancel a build, or forget one that has ended (Sloop's own)",
      run: remove,
    },
    {
      ...own,
      method: "POST",
      path: "/builds/:id/asked/:number",
      summary: "Give a build what it asks for (Sloop's own)",
      hijacks: true,
      run: asked,
    },
    {
      ...own,
      method: "GET",
      path: "/builds/:id/asked/:number",
      summary: "Take what a build puts out (Sloop's own)",
      run: asked,
    },
  ]
}

interface Lines {
  readonly report: Parameters<Builder["build"]>[2]
  write(line: BuildLine): void
  end(): void
}

/** The answer's lines: events of one turn of the event loop go out together, before whatever is written by itself. */
function createLines(call: Call): Lines {
  const output = call.stream({ "Content-Type": "application/json" })
  const events = new EventLines()
  const put = (line: BuildLine) => void output.write(`${JSON.stringify(line)}\n`)
  const flush = () => {
    const line = events.flush()
    if (line !== undefined) put(line)
  }
  return {
    report(event) {
      if (event.type === "log" && output.writableLength > MOST_WAITING) return
      if (events.add(event)) setImmediate(flush)
    },
    write(line) {
      flush()
      put(line)
    },
    end() {
      flush()
      output.end()
    },
  }
}
