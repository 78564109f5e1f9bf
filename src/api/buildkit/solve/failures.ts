// Build failures as BuildKit's clients know them: one sentence, and typed details that let them show the lines.
import { errorKind, errorMessage } from "../../../base/errors.ts"
import { BuildFailure } from "../../../build/build.ts"
import { CODE, type Detail, GrpcFailure } from "../grpc/status.ts"

/** Bytes of a Dockerfile's text that a failure carries whole; of a longer one only the lines around the place. */
const MOST_TEXT = 16 << 10
const LINES_AROUND = 12

const detail = (type: string, value: unknown): Detail => ({
  typeUrl: `github.com/moby/buildkit/${type}+json`,
  value: Buffer.from(JSON.stringify(value)),
})

/** Anything thrown by a build, as its client gets it. */
export function buildFailure(error: unknown): GrpcFailure {
  if (error instanceof GrpcFailure) return error
  if (errorKind(error) === "cancelled" || (error instanceof Error && error.name === "AbortError"))
    return new GrpcFailure(CODE.cancelled, "context canceled", [], { cause: error })
  const details: Detail[] = []
  if (error instanceof BuildFailure) {
    const { place, file = "Dockerfile", source, vertex, exitCode } = error.detail
    if (exitCode !== undefined) details.push(detail("gatewayapi.ExitMessage", { Code: exitCode }))
    if (vertex !== undefined) details.push(detail("errdefs.Vertex", { digest: vertex }))
    if (place !== undefined && source !== undefined) {
      details.push(
        detail("errdefs.Source", {
          info: { filename: file, data: excerpt(source, place).toString("base64"), language: "Dockerfile" },
          ranges: [{ start: { line: place.first }, end: { line: place.last } }],
        }),
      )
    }
  }
  return new GrpcFailure(CODE.unknown, errorMessage(error), details, { cause: error })
}

/** The request's name is not one that the frontend answers. */
export const unsupportedRequest = (name: string): GrpcFailure =>
  new GrpcFailure(CODE.unknown, `unsupported request ${name}`, [detail("errdefs.Subrequest", { name })])

/** The frontend lacks something that the client insists on. */
export const unsupportedCapability = (name: string): GrpcFailure =>
  new GrpcFailure(CODE.unimplemented, `unsupported frontend capability ${name}`, [
    detail("errdefs.FrontendCap", { name }),
  ])

/** The text with every line kept in its place; far from the failure, long texts have empty ones. */
function excerpt(source: Uint8Array, place: { readonly first: number; readonly last: number }): Buffer {
  const bytes = Buffer.from(source)
  if (bytes.length <= MOST_TEXT) return bytes
  const lines = bytes.toString().split("\n")
  const near = (line: number) => line >= place.first - LINES_AROUND && line <= place.last + LINES_AROUND
  const kept = lines.slice(0, place.last + LINES_AROUND)
  const text = kept.map((line, index) => (near(index + 1) ? line.slice(0, 500) : "")).join("\n")
  return Buffer.from(text).subarray(0, MOST_TEXT)
}
