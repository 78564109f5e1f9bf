// The control API: builds and their status, the cache, the worker, history, and sessions of clients that cannot upgrade.
import type { Builder } from "../../../build/build.ts"
import type { Engine } from "../../../engine/engine.ts"
import {
  BytesMessage,
  DiskUsageRequest,
  DiskUsageResponse,
  Empty,
  HistoryEvent,
  HistoryRequest,
  ListWorkersResponse,
  PruneRequest,
  SolveRequest,
  SolveResponse,
  StatusRequest,
  StatusResponse,
  UpdateHistoryRequest,
  UsageRecord,
  VersionResponse,
} from "../../../wire/buildkit/control.ts"
import { HealthRequest, HealthResponse } from "../../../wire/buildkit/session.ts"
import { duplex, type Method, streaming, unary } from "../grpc/server.ts"
import { announcement, type Sessions } from "../session/sessions.ts"
import type { Jobs } from "../solve/job.ts"
import { listenHistory, requireKept, updateHistory } from "./history.ts"
import { solve } from "./solve.ts"
import { tunnel } from "./tunnel.ts"
import { cacheUsage, pruneCache } from "./usage.ts"
import { buildkitVersion, workerRecord } from "./workers.ts"

const SERVICE = "/moby.buildkit.v1.Control"

export interface ControlParts {
  readonly engine: Engine
  readonly builder: Builder
  readonly jobs: Jobs
  readonly sessions: Sessions
}

export function controlMethods({ engine, builder, jobs, sessions }: ControlParts): Record<string, Method> {
  return {
    [`${SERVICE}/Info`]: unary(Empty, VersionResponse, () => ({ version: buildkitVersion })),
    [`${SERVICE}/ListWorkers`]: unary(Empty, ListWorkersResponse, () => ({ record: [workerRecord(engine)] })),
    [`${SERVICE}/Solve`]: unary(SolveRequest, SolveResponse, async (request, { signal }) => ({
      exporterResponse: await solve(builder, jobs, request, signal),
    })),
    [`${SERVICE}/Status`]: streaming(StatusRequest, StatusResponse, async ({ ref }, call) => {
      requireKept(builder, jobs, ref)
      const progress = await jobs.progress(ref, call.signal)
      for await (const status of progress.read(call.signal)) await call.send(status)
    }),
    [`${SERVICE}/DiskUsage`]: unary(DiskUsageRequest, DiskUsageResponse, async ({ filter }) => ({
      record: await cacheUsage(builder, filter),
    })),
    [`${SERVICE}/Prune`]: streaming(PruneRequest, UsageRecord, (request, call) =>
      pruneCache(builder, request, (record) => call.send(record)),
    ),
    [`${SERVICE}/Session`]: duplex(BytesMessage, BytesMessage, async (call) => {
      const announced = announcement(call.metadata)
      sessions.admit(announced)
      await tunnel(call, (connection) => sessions.open(announced, connection).connection.gone)
    }),
    [`${SERVICE}/ListenBuildHistory`]: streaming(HistoryRequest, HistoryEvent, (request, call) =>
      listenHistory(builder, request, call),
    ),
    [`${SERVICE}/UpdateBuildHistory`]: unary(UpdateHistoryRequest, Empty, (request) =>
      updateHistory(builder, request),
    ),
    "/grpc.health.v1.Health/Check": unary(HealthRequest, HealthResponse, () => ({ status: 1 })),
  }
}
