// sloop context create, sloop context update
import { failure } from "../../../base/errors.ts"
import { configDirectoryOf } from "../../contexts/choose.ts"
import { endpointOf, readEndpoint } from "../../contexts/endpoint.ts"
import { checkName, findContext, getContext, saveContext } from "../../contexts/store.ts"
import type { Flag } from "../../flags.ts"
import type { Verb } from "../../verb.ts"

const description: Flag = {
  name: "description",
  kind: "string",
  value: "string",
  summary: "Description of the context",
}
const docker: Flag = {
  name: "docker",
  kind: "list",
  value: "stringToString",
  summary: "set the docker endpoint: host, ca, cert, key, skip-tls-verify, from",
}

export const create: Verb = {
  usage: "[OPTIONS] CONTEXT",
  summary: "Create a context",
  flags: [
    description,
    docker,
    { name: "from", kind: "string", value: "string", summary: "create context from a named context" },
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const config = configDirectoryOf(context.env)
    const [name = ""] = parsed.arguments
    checkName(name)
    if (findContext(config, name)) throw failure("conflict", `context "${name}" already exists`)
    const from = parsed.string("from")
    const given = parsed.list("docker")
    if (from && given.length > 0) throw failure("invalid", "cannot use --docker flag when --from is set")
    const { docker: endpoint, tls } =
      from || given.length === 0
        ? endpointOf(config, from ?? "default", context.client.host)
        : readEndpoint(config, given, context.client.host)
    const text = parsed.string("description")
    const meta = {
      Name: name,
      Metadata: text ? { Description: text } : {},
      Endpoints: { docker: endpoint },
    }
    saveContext(config, meta, tls)
    context.print(name)
    context.warn(`Successfully created context "${name}"`)
    return 0
  },
}

export const update: Verb = {
  usage: "[OPTIONS] CONTEXT",
  summary: "Update a context",
  flags: [description, docker],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const config = configDirectoryOf(context.env)
    const [name = ""] = parsed.arguments
    checkName(name)
    const before = getContext(config, name)
    const given = parsed.list("docker")
    const changed = given.length > 0 ? readEndpoint(config, given, context.client.host) : undefined
    const text = parsed.given("description") ? parsed.string("description") : before.Metadata.Description
    const meta = {
      ...before,
      Metadata: { ...before.Metadata, ...(text ? { Description: text } : {}) },
      Endpoints: changed ? { ...before.Endpoints, docker: changed.docker } : before.Endpoints,
    }
    saveContext(config, meta, changed?.tls)
    context.print(name)
    context.warn(`Successfully updated context "${name}"`)
    return 0
  },
}
