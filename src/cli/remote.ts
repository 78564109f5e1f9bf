// Repositories as this command line itself reaches them, with the accounts that docker's config.json keeps.
import { VERSION } from "../base/version.ts"
import { credentialsKeyOf, type Reference } from "../oci/reference.ts"
import {
  anonymous,
  openRegistries,
  type Registries,
  type RemoteRepository,
} from "../registry-client/registry-client.ts"
import { findAccount } from "./credentials.ts"
import type { Flag, Parsed } from "./flags.ts"
import type { Context } from "./verb.ts"

export const insecureFlag: Flag = {
  name: "insecure",
  kind: "bool",
  summary: "Allow plain HTTP and unproven certificates",
}

export interface Remotes {
  repository(reference: Reference, actions: "pull" | "pull,push"): Promise<RemoteRepository>
}

/** Opens registries as the verb's flags ask. */
export const openRemotes = (context: Context, parsed: Parsed, references: readonly Reference[]): Remotes => {
  const registries: Registries = openRegistries({
    mirrors: [],
    insecure: parsed.bool("insecure") ? references.map(({ domain }) => domain) : [],
    certificates: ["/etc/docker/certs.d", "/etc/sloop/certs.d"],
    agent: `sloop/${VERSION}`,
  })
  return {
    async repository(reference, actions) {
      const account = await findAccount(context.env, credentialsKeyOf(reference.domain))
      return registries.repository(reference, {
        actions,
        ...(account === undefined ? {} : { credentials: { ...anonymous, ...account } }),
      })
    },
  }
}
