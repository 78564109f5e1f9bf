// Control.Solve: a build from its request to its exports, by the frontend built in or by the client as its own frontend.
import { failure } from "../../../base/errors.ts"
import { type Builder, checkExports } from "../../../build/build.ts"
import type { SolveRequest } from "../../../wire/buildkit/control.ts"
import type { ReturnRequest } from "../../../wire/buildkit/gateway.ts"
import type { Decoded } from "../../../wire/buildkit/protobuf.ts"
import { GrpcFailure } from "../grpc/status.ts"
import { sessionCredentials } from "../session/secrets.ts"
import { attestations } from "../solve/attributes.ts"
import { answerCall } from "../solve/calls.ts"
import { cacheExportsOf, exportsOf } from "../solve/exports.ts"
import { buildFailure } from "../solve/failures.ts"
import { requireDockerfile } from "../solve/frontend.ts"
import { type Job, type Jobs, Solving } from "../solve/job.ts"

type Request = Decoded<typeof SolveRequest>

/** What comes to a request by another way than its message. */
export interface Beside {
  /** The context as a tar. */
  readonly upload?: AsyncIterable<Uint8Array>
  readonly begun?: (job: Job) => void
}

/** Answers with what the exporters tell. Throws `GrpcFailure` with typed details. */
export async function solve(
  builder: Builder,
  jobs: Jobs,
  request: Request,
  signal: AbortSignal,
  { upload, begun }: Beside = {},
): Promise<ReadonlyMap<string, string>> {
  try {
    const session = request.session === "" ? undefined : await jobs.sessions.get(request.session, signal)
    const ending = session === undefined ? signal : AbortSignal.any([signal, session.connection.gone])
    const { ref, entitlements, frontendInputs: inputs } = request
    const options = { ref, session, entitlements, inputs, upload, signal: ending }
    return await jobs.run(options, (job) => {
      begun?.(job)
      return run(builder, job, request)
    })
  } catch (error) {
    throw buildFailure(error)
  }
}

async function run(builder: Builder, job: Job, request: Request): Promise<ReadonlyMap<string, string>> {
  const { session, signal } = job
  const solving = request.frontend === "" ? await returned(job, request) : await chosen(builder, job, request)
  if (!(solving instanceof Solving)) return solving ?? new Map()
  const options = {
    exports: exportsOf(request, session, signal),
    cacheTo: cacheExportsOf(request, session),
    attestations: attestations(solving.attributes),
    squash: solving.attributes.get("squash") === "true",
    credentials: session === undefined ? async () => undefined : sessionCredentials(session),
  }
  await checkExports(options)
  const { response } = await builder.export(await solving.result(), options, job.progress.report, signal)
  return response
}

/** The frontend built in; a request that builds nothing is answered by its metadata. */
async function chosen(
  builder: Builder,
  job: Job,
  request: Request,
): Promise<Solving | ReadonlyMap<string, string>> {
  const attributes = requireDockerfile(request.frontend, request.frontendAttributes)
  const metadata = await answerCall(builder, job, attributes, request.frontendInputs)
  if (metadata === undefined) return job.solving(attributes, request.frontendInputs)
  return new Map([...metadata].map(([key, value]) => [key, Buffer.from(value).toString()]))
}

/** What the client returns through the gateway; undefined when that is nothing that can be exported. */
async function returned(job: Job, { definition }: Request): Promise<Solving | undefined> {
  if (definition !== undefined && definition.def.length > 0)
    throw failure("not-implemented", "this engine builds Dockerfiles: a definition in LLB is not solved")
  const { result, error } = await job.returned()
  if (error !== undefined) throw new GrpcFailure(error.code, error.message, error.details)
  const ids = refsOf(result)
  const [first, ...others] = ids.map((id) => {
    const ref = job.refs.get(id)
    if (ref === undefined) throw failure("not-found", `no such ref: ${id}`)
    return ref.solving
  })
  if (others.some((other) => other !== first))
    throw failure("not-implemented", "a result made of several builds cannot be exported")
  return first
}

function refsOf(result: Decoded<typeof ReturnRequest>["result"]): string[] {
  if (result === undefined) return []
  const { refDeprecated, refsDeprecated, ref, refs } = result
  const all = [
    refDeprecated,
    ...(refsDeprecated?.refs.values() ?? []),
    ref?.id ?? "",
    ...[...(refs?.refs.values() ?? [])].map((one) => one?.id ?? ""),
  ]
  return [...new Set(all.filter((id) => id !== ""))]
}
