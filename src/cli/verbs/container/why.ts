// sloop why: says in words why containers ended, or do not start.
import { ApiFailure, Demultiplexer, type EngineClient } from "../../../client/client.ts"
import { type Ended, explainContainer } from "../../container/reasons.ts"
import { forEach } from "../../each.ts"
import type { Verb } from "../../verb.ts"

type Inspected = Ended & {
  readonly Id: string
  readonly Image: string
  readonly Config: { readonly Tty: boolean }
}

/** Undefined where the log driver keeps nothing that can be read. */
async function lastLines(client: EngineClient, { Id, Config }: Inspected, count: number) {
  try {
    const query = { stdout: true, stderr: true, tail: String(count) }
    const { body } = await client.send("GET", `/containers/${Id}/logs`, { query })
    const frames = new Demultiplexer()
    const parts: Buffer[] = []
    for await (const chunk of body)
      parts.push(...(Config.Tty ? [chunk] : frames.split(chunk).map(({ bytes }) => bytes)))
    const lines = Buffer.concat(parts).toString("utf8").split(/\r?\n/)
    return lines.filter((line) => line !== "").slice(-count)
  } catch (error) {
    if (error instanceof ApiFailure) return undefined
    throw error
  }
}

const imageExists = (client: EngineClient, image: string): Promise<boolean | undefined> =>
  client.call("GET", `/images/${encodeURIComponent(image)}/json`).then(
    () => true,
    (error: unknown) => (error instanceof ApiFailure && error.status === 404 ? false : undefined),
  )

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Explain in words why a container ended or does not start",
  flags: [
    {
      name: "tail",
      short: "n",
      kind: "int",
      value: "int",
      default: "5",
      summary: "Number of last lines of its output to show",
    },
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) =>
    forEach(context, parsed.arguments, async (name) => {
      const { client } = context
      const container = await client.json<Inspected>("GET", `/containers/${encodeURIComponent(name)}/json`)
      const [lines, exists] = await Promise.all([
        lastLines(client, container, Math.max(0, parsed.int("tail") ?? 5)),
        imageExists(client, container.Image),
      ])
      return explainContainer(container, {
        ...(lines ? { lastLines: lines } : {}),
        ...(exists === undefined ? {} : { imageExists: exists }),
      }).join("\n")
    }),
}
