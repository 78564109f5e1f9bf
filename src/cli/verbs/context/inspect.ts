// sloop context inspect
import { configDirectoryOf } from "../../contexts/choose.ts"
import { contextPaths, getContext, tlsFilesOf } from "../../contexts/store.ts"
import { formatFlag, printInspected } from "../../format/inspect.ts"
import type { Context, Verb } from "../../verb.ts"

function inspected(context: Context, name: string): unknown {
  const config = configDirectoryOf(context.env)
  if (name === "default") {
    const Host = context.contextName === "default" ? context.client.host : context.ownHost
    return {
      Name: name,
      Metadata: {},
      Endpoints: { docker: { Host, SkipTLSVerify: false } },
      TLSMaterial: {},
      Storage: { MetadataPath: "<IN MEMORY>", TLSPath: "<IN MEMORY>" },
    }
  }
  const meta = getContext(config, name)
  const files = Object.keys(tlsFilesOf(config, name))
  const paths = contextPaths(config, name)
  return {
    ...meta,
    TLSMaterial: files.length > 0 ? { docker: files } : {},
    Storage: { MetadataPath: paths.meta, TLSPath: paths.tls },
  }
}

export const verb: Verb = {
  usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
  summary: "Display detailed information on one or more contexts",
  flags: [formatFlag],
  interspersed: true,
  least: 0,
  most: Number.POSITIVE_INFINITY,
  run(context, parsed) {
    const names = parsed.arguments.length > 0 ? parsed.arguments : [context.contextName]
    return printInspected(context, names, parsed.string("format"), async (name) => inspected(context, name))
  },
}
