// Files that tell of a finished build: --iidfile, --metadata-file, the index of a local cache.
import { writeFileSync } from "node:fs"
import { isJsonObject } from "../../base/json-bounded.ts"
import type { BuildLine } from "../../wire/wire.ts"
import type { Parsed } from "../flags.ts"
import type { PreparedBuild } from "./request.ts"
import { idOf } from "./run.ts"

type Result = NonNullable<BuildLine["result"]>

export async function writeResults(parsed: Parsed, build: PreparedBuild, result: Result): Promise<void> {
  const iidfile = parsed.string("iidfile")
  if (iidfile) writeFileSync(iidfile, idOf(result))
  const metadata = parsed.string("metadata-file")
  if (metadata) writeFileSync(metadata, `${JSON.stringify(metadataOf(result), null, 2)}\n`)
  for (const cache of build.request.CacheTo ?? []) {
    const directory = cache.Type === "local" ? cache.Attributes?.dest : undefined
    const manifest = result.response["cache.manifest"]
    if (typeof directory !== "string" || manifest === undefined) continue
    const { writeIndex } = await import("./layout.ts")
    const tag = cache.Attributes?.tag
    writeIndex(directory, JSON.parse(manifest), typeof tag === "string" ? tag : "latest")
  }
}

/** Values that are JSON, in base64 or as text, as what they are, others as text, in order of their names. */
const metadataOf = ({ response }: Result): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(response)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [key, decoded(value) ?? value]),
  )

function decoded(value: string): unknown {
  if (!/^(ey[A-Za-z0-9+/=]+|\{.*\})$/.test(value)) return undefined
  try {
    const text = value.startsWith("{") ? value : Buffer.from(value, "base64").toString("utf8")
    const found: unknown = JSON.parse(text)
    return isJsonObject(found) ? found : undefined
  } catch {
    return undefined
  }
}
