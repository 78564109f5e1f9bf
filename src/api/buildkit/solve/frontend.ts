// Which frontends are built in: Dockerfiles under every name that they go by. Others would be images that run; they are refused.
import { failure } from "../../../base/errors.ts"
import type { Attributes } from "./attributes.ts"

const DOCKERFILE = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::[^@]*)?(?:@.*)?$/

/** The attributes for the built-in Dockerfile frontend. Throws not-implemented for any other. */
export function requireDockerfile(frontend: string, attributes: Attributes): Attributes {
  if (frontend === "dockerfile.v0") return attributes
  const source = attributes.get("source") ?? ""
  if (frontend === "gateway.v0" && DOCKERFILE.test(source)) return attributes
  throw failure(
    "not-implemented",
    frontend === "gateway.v0"
      ? `the frontend ${source} is an image: this engine builds Dockerfiles by itself and runs no frontends`
      : `failed to find frontend: ${frontend}`,
  )
}
