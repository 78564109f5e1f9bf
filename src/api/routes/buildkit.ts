// BuildKit's two doors: /grpc becomes a connection to its API, /session one over which the client serves us.
import { failure } from "../../base/errors.ts"
import type { Builder } from "../../build/build.ts"
import type { Engine } from "../../engine/engine.ts"
import type { Buildkit } from "../buildkit/buildkit.ts"
import type { Call } from "../call.ts"
import type { Route } from "../route.ts"

/** Sessions and builds are the builder's, whichever server a client comes through. */
const faces = new WeakMap<Builder, Promise<Buildkit>>()

/** The face is loaded by the first client that wants it. */
export function buildkitOf(engine: Engine, builder: Builder): Promise<Buildkit> {
  const known = faces.get(builder)
  if (known !== undefined) return known
  const face = import("../buildkit/buildkit.ts").then(({ createBuildkit }) => createBuildkit(engine, builder))
  faces.set(builder, face)
  return face
}

export function buildkitRoutes(engine: Engine, builder: Builder): Route[] {
  async function grpc(call: Call): Promise<void> {
    requireUpgrade(call)
    const face = await buildkitOf(engine, builder)
    face.serve(call.connection("h2c"))
  }

  async function session(call: Call): Promise<void> {
    requireUpgrade(call)
    const face = await buildkitOf(engine, builder)
    const { announcement } = await import("../buildkit/buildkit.ts")
    const { headers } = call.request
    const announced = announcement((name) => {
      const value = headers[name]
      const text = Array.isArray(value) ? value.join(",") : (value ?? "")
      return text
        .split(",")
        .map((one) => one.trim())
        .filter((one) => one !== "")
    })
    face.admit(announced)
    face.open(announced, call.connection("h2c"))
  }

  const yes = { support: "yes", h2c: true } as const
  return [
    { ...yes, method: "POST", path: "/grpc", summary: "BuildKit's API", run: grpc },
    { ...yes, method: "POST", path: "/session", summary: "A build client's session", run: session },
  ]
}

function requireUpgrade(call: Call): void {
  const protocol = call.request.headers.upgrade?.toLowerCase()
  if (protocol === undefined) throw failure("invalid", "no upgrade proto in request")
  if (protocol !== "h2c") throw failure("invalid", `protocol ${protocol} not supported`)
}
