// Requests about a Dockerfile that build nothing: check, outline, targets, and the list of these.

import { errorKind } from "../../../base/errors.ts"
import type { Builder } from "../../../build/build.ts"
import type { Attributes } from "./attributes.ts"
import { unsupportedRequest } from "./failures.ts"
import type { Definitions, Job } from "./job.ts"

const VERSION = "1.0.0"

const CALLS: ReadonlyMap<string, "check" | "outline" | "targets"> = new Map([
  ["frontend.lint", "check"],
  ["frontend.outline", "outline"],
  ["frontend.targets", "targets"],
])

const DESCRIBE = "frontend.subrequests.describe"

const requests = [
  { name: "frontend.outline", description: "List all parameters current build target supports" },
  { name: "frontend.targets", description: "List all targets current build supports" },
  { name: "frontend.lint", description: "Lint a Dockerfile" },
  { name: DESCRIBE, description: "List available subrequest types" },
] as const

/** Metadata that answers the request that the attributes make; undefined = they ask for a build. */
export async function answerCall(
  builder: Builder,
  job: Job,
  attributes: Attributes,
  definitions: Definitions,
): Promise<ReadonlyMap<string, Uint8Array> | undefined> {
  const asked = attributes.get("requestid")
  if (asked === undefined || asked === "") return undefined
  if (asked === DESCRIBE) return describe()
  const what = CALLS.get(asked)
  if (what === undefined) throw unsupportedRequest(asked)
  const request = await job.request(attributes, definitions)
  try {
    const { text, json, statusCode } = await builder.call(request, what, job.progress.report, job.signal)
    return metadata(text, json, what === "check" ? [["result.statuscode", String(statusCode)]] : [])
  } catch (error) {
    if (errorKind(error) === "not-implemented") throw unsupportedRequest(asked)
    throw error
  }
}

const metadata = (text: string, json: unknown, more: readonly (readonly [string, string])[] = []) =>
  new Map(
    [
      ["result.txt", text],
      ["result.json", JSON.stringify(json, undefined, 2)],
      ["version", VERSION],
      ...more,
    ].map(([key = "", value = ""]) => [key, Buffer.from(value)] as const),
  )

function describe() {
  const list = requests.map(({ name, description }) => ({
    name,
    version: VERSION,
    type: "rpc",
    description,
    opts: null,
    inputs: null,
    metadata: [
      { name: "result.json", description: "" },
      { name: "result.txt", description: "" },
    ],
    refs: null,
  }))
  const rows = [
    ["NAME", "VERSION", "DESCRIPTION"],
    ...list.map(({ name, version, description }) => [name.replace("frontend.", ""), version, description]),
  ]
  const text = rows
    .map(([name = "", version = "", text]) => `${name.padEnd(21)}${version.padEnd(8)}${text}\n`)
    .join("")
  return metadata(text, list)
}
