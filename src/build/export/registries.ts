// The registries that an export talks to.
import { openRegistries, type Registries } from "../../registry-client/registry-client.ts"
import type { ExportRooms } from "./work.ts"

/** The engine's registries; with `insecure` plain HTTP and unproven certificates are accepted at this one too. */
export const registriesFor = (rooms: ExportRooms, domain: string, insecure: boolean): Registries => {
  const { registries } = rooms.images
  if (!insecure) return registries
  const { options } = registries
  return openRegistries({ ...options, insecure: [...options.insecure, domain] })
}
