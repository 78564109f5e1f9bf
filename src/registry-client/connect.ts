// The real registries: loaded by the first request. Puts endpoints, sessions and what is done over them together.
import { errorKind, failure } from "../base/errors.ts"
import { apiHostOf, familiarName, searchHostOf } from "../oci/reference.ts"
import type { Token } from "./authorization.ts"
import { hasBlob, readBlob } from "./blobs.ts"
import { deleteDocument, getDocument, lookAt, type Place, putDocument } from "./documents.ts"
import { openHosts } from "./hosts.ts"
import { proveCredentials } from "./login.ts"
import { timingOf } from "./options.ts"
import { getReferrers } from "./referrers.ts"
import { anonymous, type Registries, type RegistryOptions, type RemoteRepository } from "./registry-client.ts"
import { searchRegistry } from "./search.ts"
import { openSession } from "./session.ts"
import { listTags } from "./tags.ts"
import { putBlob } from "./uploads.ts"

export const connectRegistries = (options: RegistryOptions): Registries => {
  const timing = timingOf(options)
  const hosts = openHosts(options)
  const parts = { hosts, timing, agent: options.agent, tokens: new Map<string, Token>() }

  const repository: Registries["repository"] = (reference, { actions, credentials = anonymous }) => {
    const pulls = actions === "pull"
    const places = hosts.endpoints(reference.domain, { mirrors: pulls }).map(
      (endpoint): Place => ({
        session: openSession(parts, endpoint, endpoint.mirror ? anonymous : credentials),
        path: reference.path,
        scopes: [`repository:${reference.path}:${actions}`],
        pulls,
        name: familiarName(reference),
      }),
    )
    const own = places.at(-1)
    if (own === undefined) throw failure("internal", `no registry answers for ${reference.domain}`)

    /** A mirror that has not what is asked for, or is ill, is passed over. */
    const anywhere = async <T>(
      signal: AbortSignal | undefined,
      work: (place: Place) => Promise<T>,
    ): Promise<T> => {
      for (const place of places.slice(0, -1)) {
        try {
          return await work(place)
        } catch (error) {
          signal?.throwIfAborted()
          if (errorKind(error) === "cancelled") throw error
        }
      }
      return work(own)
    }
    async function* blob(...[descriptor, from, signal]: Parameters<RemoteRepository["blob"]>) {
      let at = from
      for (const place of places) {
        try {
          for await (const chunk of readBlob(place, timing, descriptor, at, signal)) {
            at += chunk.length
            yield chunk
          }
          return
        } catch (error) {
          signal?.throwIfAborted()
          if (place === own) throw error
        }
      }
    }
    return {
      name: own.name,
      look: (name, signal) =>
        anywhere(signal, async (place) => {
          const found = await lookAt(place, name, signal)
          if (found === undefined && place !== own) throw failure("not-found", "the mirror does not tell")
          return found
        }),
      document: (name, signal) => anywhere(signal, (place) => getDocument(place, name, signal)),
      blob,
      tags: (signal) => anywhere(signal, (place) => listTags(place, signal)),
      hasBlob: (digest, signal) => hasBlob(own, digest, signal),
      putBlob: (source, given) => putBlob(own, timing, source, given),
      putDocument: (name, document, signal) => putDocument(own, name, document, signal),
      deleteDocument: (name, signal) => deleteDocument(own, name, signal),
      referrers: (digest, type, signal) => getReferrers(own, digest, type, signal),
    }
  }

  const ownEndpoint = (domain: string) => {
    const endpoint = hosts.endpoints(domain, { mirrors: false })[0]
    if (endpoint === undefined) throw failure("internal", `no registry answers for ${domain}`)
    return endpoint
  }
  return {
    options,
    repository,
    login: (domain, credentials, signal) =>
      proveCredentials(parts, ownEndpoint(domain), credentials, apiHostOf(domain), signal),
    search(domain, term, { limit, credentials = anonymous }, signal) {
      const session = openSession(parts, ownEndpoint(searchHostOf(domain)), credentials)
      return searchRegistry(session, { domain, term, limit }, signal)
    },
  }
}
