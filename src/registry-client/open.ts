// Opens registries without loading what talks to them: that comes with the first request, and idle engines stay small.
import { familiarName } from "../oci/reference.ts"
import { checkOptions } from "./options.ts"
import type { Registries, RegistryOptions, RemoteRepository } from "./registry-client.ts"

/** Throws "invalid" for options that are wrong. */
export const openRegistries = (options: RegistryOptions): Registries => {
  checkOptions(options)
  let loaded: Promise<Registries> | undefined
  const real = (): Promise<Registries> => {
    loaded ??= import("./connect.ts").then(({ connectRegistries }) => connectRegistries(options))
    return loaded
  }
  const lazyRepository = (name: string, ...asked: Parameters<Registries["repository"]>): RemoteRepository => {
    let found: RemoteRepository | undefined
    const repository = async (): Promise<RemoteRepository> => {
      found ??= (await real()).repository(...asked)
      return found
    }
    return {
      name,
      look: async (...given) => (await repository()).look(...given),
      document: async (...given) => (await repository()).document(...given),
      async *blob(...given) {
        yield* (await repository()).blob(...given)
      },
      tags: async (...given) => (await repository()).tags(...given),
      hasBlob: async (...given) => (await repository()).hasBlob(...given),
      putBlob: async (...given) => (await repository()).putBlob(...given),
      putDocument: async (...given) => (await repository()).putDocument(...given),
      deleteDocument: async (...given) => (await repository()).deleteDocument(...given),
      referrers: async (...given) => (await repository()).referrers(...given),
    }
  }
  return {
    options,
    repository: (reference, access) => lazyRepository(familiarName(reference), reference, access),
    login: async (...given) => (await real()).login(...given),
    search: async (...given) => (await real()).search(...given),
  }
}
