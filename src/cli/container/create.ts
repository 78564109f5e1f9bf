// Creates a container for create and run: cidfile, warnings, the missing image.
import { failure } from "../../base/errors.ts"
import { ApiFailure } from "../../client/client.ts"
import type { Parsed } from "../flags.ts"
import { fileSystem } from "../lazy-modules.ts"
import type { Context } from "../verb.ts"
import { createRequest } from "./request.ts"

/** The new container's id. Throws Failure; `--pull` says whether a missing image is pulled. */
export async function createContainer(context: Context, parsed: Parsed, detach: boolean): Promise<string> {
  const cidfile = parsed.string("cidfile")
  if (cidfile && fileSystem().existsSync(cidfile))
    throw failure(
      "conflict",
      `container ID file found, make sure the other container isn't running or delete ${cidfile}`,
    )
  const body = createRequest(parsed, {
    detach,
    env: context.env,
    consoleSize: parsed.bool("tty") ? [context.out.rows, context.out.columns] : [0, 0],
  })
  const query = { name: parsed.string("name"), platform: parsed.string("platform") }
  const policy = parsed.string("pull") ?? "missing"
  if (!["always", "missing", "never"].includes(policy))
    throw failure(
      "invalid",
      `invalid pull option: '${policy}': must be one of "always", "missing" or "never"`,
    )
  if (policy === "always") await pull(context, parsed)
  const post = () =>
    context.client.json<{ Id: string; Warnings?: string[] }>("POST", "/containers/create", { query, body })
  let created: { Id: string; Warnings?: string[] }
  try {
    created = await post()
  } catch (error) {
    const missing =
      error instanceof ApiFailure &&
      error.status === 404 &&
      /no such image|specified platform/i.test(error.message)
    if (!missing || policy === "never") throw error
    if (!parsed.bool("quiet"))
      context.warn(`Unable to find image '${tagged(parsed.arguments[0] ?? "")}' locally`)
    await pull(context, parsed)
    created = await post()
  }
  for (const warning of created.Warnings ?? []) context.warn(`WARNING: ${warning}`)
  if (cidfile) fileSystem().writeFileSync(cidfile, created.Id)
  return created.Id
}

/** With the tag that is meant when none is given. */
const tagged = (reference: string): string =>
  /@|:[^/]*$/.test(reference) ? reference : `${reference}:latest`

async function pull(context: Context, parsed: Parsed): Promise<void> {
  const [{ registryHeaders }, { drawLines }] = await Promise.all([
    import("../credentials.ts"),
    import("../layer-lines.ts"),
  ])
  const reference = tagged(parsed.arguments[0] ?? "")
  const query = { fromImage: reference, platform: parsed.string("platform") }
  const headers = await registryHeaders(context.env, reference)
  const { body } = await context.client.send("POST", "/images/create", { query, headers })
  await drawLines(context.err, body, { quiet: parsed.bool("quiet") })
}
