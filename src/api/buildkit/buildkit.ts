// BuildKit's face: its gRPC API over connections that clients upgraded, and the sessions that they open beside it.
import type { Duplex } from "node:stream"
import type { Builder } from "../../build/build.ts"
import type { Engine } from "../../engine/engine.ts"
import type { Call } from "../call.ts"
import { controlMethods } from "./control/control.ts"
import { gatewayMethods } from "./gateway/gateway.ts"
import { createGrpcServer } from "./grpc/server.ts"
import { OverSession } from "./over-session.ts"
import { type Announcement, Sessions } from "./session/sessions.ts"
import { Jobs } from "./solve/job.ts"

export { announcement } from "./session/sessions.ts"

export interface Buildkit {
  /** Serves the API over a raw connection until either side ends it. */
  serve(connection: Duplex): void
  /** Throws what keeps a session from being opened, before its connection is taken over. */
  admit(session: Announcement): void
  /** Keeps a session until its connection ends. */
  open(session: Announcement, connection: Duplex): void
  /** Serves POST /build?version=2, whole. */
  buildOverSession(call: Call): Promise<void>
}

export function createBuildkit(engine: Engine, builder: Builder): Buildkit {
  const sessions = new Sessions()
  const jobs = new Jobs(builder, sessions)
  const overSession = new OverSession(builder, jobs)
  const server = createGrpcServer({
    ...controlMethods({ engine, builder, jobs, sessions }),
    ...gatewayMethods({ engine, builder, jobs }),
  })
  return {
    serve: (connection) => server.serve(connection),
    admit: (session) => sessions.admit(session),
    buildOverSession: (call) => overSession.build(call),
    open: (session, connection) => void sessions.open(session, connection),
  }
}
