// sloop registry collect: removes what no manifest needs, in a registry that serves or in one that rests.
import { existsSync } from "node:fs"
import { request } from "node:http"
import { parseDuration } from "../../../base/duration.ts"
import { failure } from "../../../base/errors.ts"
import {
  type Collected,
  type CollectOptions,
  collectOnce,
  controlSocket,
} from "../../../registry-server/registry-server.ts"
import { humanSize } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"
import { dataRootFlag, defaultRegistryRoot } from "./serve.ts"

/** Asks the server of the directory; undefined when none serves it. */
const askServer = (dataRoot: string, { untagged, grace }: CollectOptions): Promise<Collected | undefined> =>
  new Promise((resolve, reject) => {
    const path = `/collect?grace=${grace}${untagged ? "&untagged=1" : ""}`
    const asked = request({ socketPath: controlSocket(dataRoot), method: "POST", path }, (answer) => {
      const chunks: Buffer[] = []
      answer.on("data", (chunk: Buffer) => chunks.push(chunk))
      answer.on("end", () => {
        const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
        if (answer.statusCode === 200) resolve(body as Collected)
        else
          reject(
            failure(
              "internal",
              `the registry of ${dataRoot} could not collect: ${(body as { message: string }).message}`,
            ),
          )
      })
    })
    asked.on("error", () => resolve(undefined))
    asked.end()
  })

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove blobs that no manifest of a registry needs",
  flags: [
    dataRootFlag,
    { name: "untagged", kind: "bool", summary: "Remove manifests that no tag leads to, too" },
    {
      name: "grace",
      kind: "string",
      value: "duration",
      default: "1h",
      summary: "Keep what is younger than this",
    },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const dataRoot = parsed.string("data-root") ?? defaultRegistryRoot
    if (!existsSync(dataRoot))
      throw failure("not-found", `there is no registry in ${dataRoot}: name its directory with --data-root`)
    const options = {
      untagged: parsed.bool("untagged"),
      grace: parseDuration(parsed.string("grace") ?? "1h"),
    }
    const collected = (await askServer(dataRoot, options)) ?? (await collectOnce(dataRoot, options))
    context.print(`Removed ${collected.manifests} manifests and ${collected.blobs} blobs`)
    context.print(`Total reclaimed space: ${humanSize(collected.bytes)}`)
    return 0
  },
}
