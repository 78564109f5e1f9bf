// Dockerfiles and the graphs that they give, case by case: testing/cases/<case>/ holds the Dockerfile, options and the graph.
// With UPDATE_GOLDEN=1 the graphs are written anew: UPDATE_GOLDEN=1 bun test src/build/graph/build-graph.test.ts
import { expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseDockerfile } from "../dockerfile/parse.ts"
import { BuildFailure } from "../failure.ts"
import { buildGraph } from "./build-graph.ts"
import { buildRequest, type CaseOptions, resolveFromTable } from "./testing/graph-request.ts"
import { printGraph } from "./testing/print-graph.ts"

const folder = join(import.meta.dirname, "testing", "cases")

const printed = async (directory: string): Promise<string> => {
  const optionsPath = join(directory, "options.json")
  const options: CaseOptions = existsSync(optionsPath) ? JSON.parse(readFileSync(optionsPath, "utf8")) : {}
  try {
    const dockerfile = parseDockerfile(readFileSync(join(directory, "Dockerfile")))
    const ignored = (path: string) => options.ignored?.includes(path) === true
    return printGraph(await buildGraph(dockerfile, buildRequest(options), resolveFromTable, { ignored }))
  } catch (error) {
    if (!(error instanceof BuildFailure)) throw error
    const { place } = error.detail
    return `${error.kind}${place === undefined ? "" : ` at ${place.first}-${place.last}`}: ${error.message}\n`
  }
}

for (const name of readdirSync(folder).toSorted())
  test(name, async () => {
    const path = join(folder, name, "graph.txt")
    const text = await printed(join(folder, name))
    if (process.env.UPDATE_GOLDEN || !existsSync(path)) writeFileSync(path, text)
    expect(text).toBe(readFileSync(path, "utf8"))
  })
