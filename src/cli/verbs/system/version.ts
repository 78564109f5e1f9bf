// sloop version
import { errorKind } from "../../../base/errors.ts"
import { VERSION } from "../../../base/version.ts"
import { formatFlag, printFormatted } from "../../format/inspect.ts"
import type { Verb } from "../../verb.ts"

interface Server {
  Version: string
  ApiVersion: string
  MinAPIVersion: string
  Os: string
  Arch: string
  KernelVersion: string
}

const side = (title: string, fields: Readonly<Record<string, string>>): string =>
  [`${title}:`, ...Object.entries(fields).map(([name, value]) => ` ${`${name}:`.padEnd(18)} ${value}`)].join(
    "\n",
  )

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Show the Sloop version information",
  flags: [formatFlag],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const arch = process.arch === "x64" ? "amd64" : process.arch
    const client = {
      Version: VERSION,
      APIVersion: context.client.version,
      DefaultAPIVersion: context.client.version,
      Os: "linux",
      Arch: arch,
      Context: "default",
    }
    const format = parsed.string("format")
    const wantsServer = format === undefined || format === "json" || /\.Server/.test(format)
    let server: Server | undefined
    let problem: unknown
    if (wantsServer)
      server = await context.client.json<Server>("GET", "/version").catch((error: unknown) => {
        problem = error
        return undefined
      })
    if (problem && errorKind(problem) !== "unavailable") throw problem
    if (format !== undefined) {
      const shown = server && { ...server, APIVersion: server.ApiVersion, BuildTime: "", GitCommit: "" }
      const code = printFormatted(context, { Client: client, Server: shown ?? null }, format)
      if (problem) throw problem
      return code
    }
    context.print(
      side("Client: Sloop", {
        Version: client.Version,
        "API version": client.APIVersion,
        "OS/Arch": `${client.Os}/${arch}`,
      }),
    )
    if (server)
      context.print(
        `\n${side("Server: Sloop", { Version: server.Version, "API version": `${server.ApiVersion} (minimum version ${server.MinAPIVersion})`, "OS/Arch": `${server.Os}/${server.Arch}`, Kernel: server.KernelVersion })}`,
      )
    if (problem) throw problem
    return 0
  },
}
