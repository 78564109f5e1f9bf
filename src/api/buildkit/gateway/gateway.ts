// The gateway: a client that is its own frontend asks for Dockerfile builds, looks into their results, and returns one.
import { failure } from "../../../base/errors.ts"
import type { Builder } from "../../../build/build.ts"
import type { Engine } from "../../../engine/engine.ts"
import { formatPlatform, type Platform } from "../../../oci/platform.ts"
import { Empty } from "../../../wire/buildkit/control.ts"
import {
  EvaluateRequest,
  GatewaySolveRequest,
  GatewaySolveResponse,
  InputsResponse,
  PongResponse,
  ReadDirRequest,
  ReadDirResponse,
  ReadFileRequest,
  ReadFileResponse,
  ResolveImageConfigRequest,
  ResolveImageConfigResponse,
  ResolveSourceMetaRequest,
  ResolveSourceMetaResponse,
  ReturnRequest,
  StatFileRequest,
  StatFileResponse,
  WarnRequest,
} from "../../../wire/buildkit/gateway.ts"
import type { Decoded, Given } from "../../../wire/buildkit/protobuf.ts"
import { platformsOf } from "../../translate/build.ts"
import { workerRecord } from "../control/workers.ts"
import { type Caller, type Method, unary } from "../grpc/server.ts"
import { CODE, GrpcFailure } from "../grpc/status.ts"
import { answerCall } from "../solve/calls.ts"
import { resultDefinition } from "../solve/definitions.ts"
import { buildFailure } from "../solve/failures.ts"
import { requireDockerfile } from "../solve/frontend.ts"
import type { Job, Jobs, Solving } from "../solve/job.ts"
import { frontendCapabilities, llbCapabilities } from "./capabilities.ts"

const SERVICE = "/moby.buildkit.v1.frontend.LLBBridge"
/** Metadata by which a client says which of its builds it speaks of. */
const BUILD = "buildkit-controlapi-buildid"

export type Result = Given<NonNullable<Decoded<typeof GatewaySolveResponse>["result"]>>

export interface GatewayParts {
  readonly engine: Engine
  readonly builder: Builder
  readonly jobs: Jobs
}

export function gatewayMethods({ engine, builder, jobs }: GatewayParts): Record<string, Method> {
  const jobOf = (caller: Caller): Promise<Job> => {
    const [ref] = caller.metadata(BUILD)
    if (ref === undefined) throw new GrpcFailure(CODE.invalidArgument, "no build is named")
    return jobs.running(ref, caller.signal)
  }

  async function solve(request: Decoded<typeof GatewaySolveRequest>, caller: Caller) {
    const job = await jobOf(caller)
    try {
      return { result: await solveResult(builder, job, request) }
    } catch (error) {
      throw buildFailure(error)
    }
  }

  async function evaluate({ ref }: Decoded<typeof EvaluateRequest>, caller: Caller) {
    const job = await jobOf(caller)
    try {
      await job.image(ref)
    } catch (error) {
      throw buildFailure(error)
    }
    return {}
  }

  async function readFile({ ref, path, range }: Decoded<typeof ReadFileRequest>, caller: Caller) {
    const { solved, image } = await (await jobOf(caller)).image(ref)
    const whole = await solved.readFile(image, path)
    const from = range?.offset ?? 0
    return {
      data:
        range === undefined
          ? whole
          : whole.subarray(from, range.length > 0 ? from + range.length : undefined),
    }
  }

  const refused = (what: string) => async (): Promise<never> => {
    throw new GrpcFailure(CODE.unimplemented, `${what} is not something that this engine does for frontends`)
  }

  return {
    [`${SERVICE}/Ping`]: unary(Empty, PongResponse, () => ({
      frontendCapabilities,
      llbCapabilities,
      workers: [workerRecord(engine)],
    })),
    [`${SERVICE}/Solve`]: unary(GatewaySolveRequest, GatewaySolveResponse, solve),
    [`${SERVICE}/Evaluate`]: unary(EvaluateRequest, Empty, evaluate),
    [`${SERVICE}/ReadFile`]: unary(ReadFileRequest, ReadFileResponse, readFile),
    [`${SERVICE}/ReadDir`]: unary(ReadDirRequest, ReadDirResponse, refused("listing a result's directory")),
    [`${SERVICE}/StatFile`]: unary(StatFileRequest, StatFileResponse, async ({ ref, path }, caller) => {
      const { solved, image } = await (await jobOf(caller)).image(ref)
      if (/^[./]*$/.test(path)) return { stat: { path, mode: 2 ** 31 + 0o755 } }
      const { length } = await solved.readFile(image, path)
      return { stat: { path, mode: 0o644, size: length } }
    }),
    [`${SERVICE}/Inputs`]: unary(Empty, InputsResponse, async (_request, caller) => ({
      definitions: new Map((await jobOf(caller)).inputs),
    })),
    [`${SERVICE}/Return`]: unary(ReturnRequest, Empty, async (request, caller) => {
      ;(await jobOf(caller)).returns(request)
      return {}
    }),
    [`${SERVICE}/Warn`]: unary(WarnRequest, Empty, async (request, caller) => {
      ;(await jobOf(caller)).progress.warn({ ...request, vertex: request.digest })
      return {}
    }),
    [`${SERVICE}/ResolveImageConfig`]: unary(
      ResolveImageConfigRequest,
      ResolveImageConfigResponse,
      refused("resolving an image"),
    ),
    [`${SERVICE}/ResolveSourceMeta`]: unary(
      ResolveSourceMetaRequest,
      ResolveSourceMetaResponse,
      refused("resolving a source"),
    ),
    [`${SERVICE}/NewContainer`]: unary(Empty, Empty, refused("running a container")),
    [`${SERVICE}/ReleaseContainer`]: unary(Empty, Empty, () => ({})),
    [`${SERVICE}/ExecProcess`]: unary(Empty, Empty, refused("running a process")),
  }
}

async function solveResult(
  builder: Builder,
  job: Job,
  request: Decoded<typeof GatewaySolveRequest>,
): Promise<Result> {
  if (request.frontend === "") {
    if (request.definition === undefined || request.definition.def.length === 0) return { ref: { id: "" } }
    throw failure(
      "not-implemented",
      "this engine builds Dockerfiles: a client's own definition in LLB is not solved",
    )
  }
  const attributes = requireDockerfile(request.frontend, request.frontendOptions)
  const metadata = await answerCall(builder, job, attributes, request.frontendInputs)
  if (metadata !== undefined) return { metadata }
  const solving = await job.solving(attributes, request.frontendInputs)
  if (request.evaluate) await solving.result()
  return handedResult(job, solving)
}

/** Handles of a build's platforms, as frontends name them. */
function handedResult(job: Job, solving: Solving): Result {
  const platforms = platformsOf(solving.attributes.get("platform") ?? "")
  const several = platforms.length > 1 || solving.attributes.get("multi-platform") === "true"
  const hand = (index: number) => {
    const id = job.hand(solving, index)
    return { id, def: resultDefinition(id) }
  }
  if (!several || platforms.length === 0) return { ref: hand(0) }
  const named = platforms.map((platform) => ({ name: formatPlatform(platform), platform }))
  return {
    refs: { refs: new Map(named.map(({ name }, index) => [name, hand(index)])) },
    metadata: new Map([["refs.platforms", platformList(named)]]),
  }
}

const platformList = (named: readonly { readonly name: string; readonly platform: Platform }[]): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      Platforms: named.map(({ name, platform: { os, architecture, variant } }) => ({
        ID: name,
        Platform: { architecture, os, ...(variant === "" ? {} : { variant }) },
      })),
    }),
  )
