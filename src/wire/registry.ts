// What clients send and read about registries.
import * as v from "valibot"
import { text } from "./lenient.ts"

/** X-Registry-Auth, and the body of POST /auth. */
export const authConfigSchema = v.object({
  username: text,
  password: text,
  auth: text,
  serveraddress: text,
  identitytoken: text,
  registrytoken: text,
})

export type AuthConfig = v.InferOutput<typeof authConfigSchema>

/** POST /auth */
export interface LoginView {
  Status: string
  IdentityToken: string
}

/** GET /distribution/{name}/json */
export interface DistributionInspect {
  Descriptor: { mediaType: string; digest: string; size: number }
  Platforms: { architecture: string; os: string; variant?: string }[]
}

/** GET /images/search */
export interface SearchResult {
  star_count: number
  is_official: boolean
  name: string
  is_automated: boolean
  description: string
}
