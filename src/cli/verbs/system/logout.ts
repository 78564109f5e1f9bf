// sloop logout
import { credentialsKeyOf } from "../../../oci/reference.ts"
import { forgetAccount } from "../../credentials.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[SERVER]",
  summary: "Log out from a registry",
  flags: [],
  interspersed: true,
  least: 0,
  most: 1,
  async run(context, parsed) {
    const host = (parsed.arguments[0] ?? "").replace(/^https?:\/\//, "").split("/")[0] ?? ""
    const isDefault = host === "" || host === "docker.io" || host === "index.docker.io"
    const server = isDefault ? credentialsKeyOf("docker.io") : host
    await forgetAccount(context.env, server)
    context.print(`Removing login credentials for ${server}`)
    return 0
  },
}
