// sloop completion, and the hidden verb that the shells' scripts ask
import { failure } from "../../../base/errors.ts"
import { EngineClient } from "../../../client/client.ts"
import { complete, namesFrom } from "../../completion/complete.ts"
import { scripts } from "../../completion/scripts.ts"
import { chooseEngine, configDirectoryOf } from "../../contexts/choose.ts"
import { listContexts } from "../../contexts/store.ts"
import { parseFlags } from "../../flags.ts"
import { globalFlags } from "../../global-flags.ts"
import type { Context, Verb } from "../../verb.ts"

export const completion: Verb = {
  usage: "bash|zsh|fish",
  summary: "Print the completion script of a shell",
  flags: [],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const [shell = ""] = parsed.arguments
    const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
    if (script === undefined)
      throw failure(
        "invalid",
        `there is no completion for "${shell}": use one of ${Object.keys(scripts).join(", ")}`,
      )
    await context.out.write(script)
    return 0
  },
}

/** The engine that the words themselves choose; unlike other verbs this one starts none. */
async function clientFor(context: Context, words: readonly string[]): Promise<EngineClient> {
  try {
    const globals = parseFlags(words.slice(0, -1), globalFlags, { interspersed: false })
    const { host, tls } = await chooseEngine(globals, context.env)
    return new EngineClient(host ?? context.ownHost, { tls })
  } catch {
    return new EngineClient(context.ownHost)
  }
}

export const completed: Verb = {
  usage: "-- WORD...",
  summary: "Complete the last of the words",
  flags: [],
  interspersed: false,
  least: 0,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const words = parsed.arguments
    const client = await clientFor(context, words)
    const contexts = () => [
      ["default", "this machine's engine"] as const,
      ...listContexts(configDirectoryOf(context.env)).map(
        ({ Name, Metadata }) => [Name, Metadata.Description ?? ""] as const,
      ),
    ]
    const { candidates, files } = await complete(words, namesFrom(client, contexts))
    client.close()
    const lines = candidates.map(([word, description]) => `${word}\t${description}`)
    await context.out.write([files ? ":files" : ":words", ...lines, ""].join("\n"))
    return 0
  },
}
