// Whatever a Dockerfile says, its graph is the same every time, and what is wrong is told as a failure of the build.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { parseDockerfile } from "../dockerfile/parse.ts"
import { BuildFailure } from "../failure.ts"
import { buildGraph } from "./build-graph.ts"
import type { ResolveImage } from "./graph.ts"
import { buildRequest, resolveFromTable } from "./testing/graph-request.ts"
import { printGraph } from "./testing/print-graph.ts"

const words = [
  "a",
  "/b/",
  "..",
  "$A",
  "$" + "{A:-x}",
  "$" + "{B?no}",
  "*",
  ".",
  "'",
  "https://h/x",
  "git@h:r#x",
  "<<E",
  "--link",
  "0",
]
const line = fc
  .tuple(
    fc.constantFrom(
      ...[
        "FROM busybox AS a",
        "FROM alpine:3",
        "FROM a",
        "FROM scratch AS b",
        "FROM triggers",
        "FROM --platform=$A",
        "ARG A",
        "ENV A",
      ],
      ...[
        "COPY",
        "COPY --from=a",
        "COPY --from=0",
        "ADD",
        "RUN",
        "RUN --mount=type=cache,target=",
        "WORKDIR",
        "USER",
        "LABEL",
      ],
      ...[
        "EXPOSE",
        "VOLUME",
        "CMD",
        "ENTRYPOINT",
        "SHELL",
        "STOPSIGNAL",
        "HEALTHCHECK CMD",
        "ONBUILD RUN",
        "ONBUILD COPY",
      ],
    ),
    fc.array(fc.constantFrom(...words), { maxLength: 3 }),
  )
  .map(([keyword, rest]) => [keyword, ...rest].join(" "))
const dockerfiles = fc.array(line, { maxLength: 8 }).map((lines) => `FROM busybox\n${lines.join("\n")}\n`)

const printed = async (text: string, resolve: ResolveImage): Promise<string> => {
  const dockerfile = parseDockerfile(new TextEncoder().encode(text))
  return printGraph(await buildGraph(dockerfile, buildRequest({ buildArgs: { A: "given" } }), resolve))
}
const outcome = (text: string, resolve: ResolveImage): Promise<string> =>
  printed(text, resolve).catch((error: unknown) => {
    if (error instanceof BuildFailure) return `failed: ${error.message}`
    throw error
  })

test("any Dockerfile gives a graph or a failure, twice the same", async () => {
  await fc.assert(
    fc.asyncProperty(dockerfiles, async (text) => {
      expect(await outcome(text, resolveFromTable)).toBe(await outcome(text, resolveFromTable))
    }),
    { numRuns: 400 },
  )
})

test("how long an image takes to be resolved changes nothing", async () => {
  const text =
    "FROM busybox AS one\nRUN a\nFROM busybox AS two\nRUN a\nFROM alpine:3\nCOPY --from=one / /\nCOPY --from=two / /\n"
  let turn = 0
  const slow: ResolveImage = async (reference, platform) => {
    await Bun.sleep(turn++ % 2 === 0 ? 20 : 0)
    return resolveFromTable(reference, platform)
  }
  expect(await printed(text, slow)).toBe(await printed(text, resolveFromTable))
})

test("an image is asked for once, however many stages begin with it", async () => {
  const asked: string[] = []
  const counting: ResolveImage = (reference, platform) => {
    asked.push(reference)
    return resolveFromTable(reference, platform)
  }
  await printed(
    "FROM busybox AS one\nRUN a\nFROM busybox\nCOPY --from=one / /\nCOPY --from=busybox / /\n",
    counting,
  )
  expect(asked).toEqual(["busybox"])
})
