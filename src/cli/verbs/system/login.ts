// sloop login
import { failure } from "../../../base/errors.ts"
import { credentialsKeyOf } from "../../../oci/reference.ts"
import { type Account, configFile, findAccount, keepAccount } from "../../credentials.ts"
import { readStandardInput } from "../../input.ts"
import { askLine } from "../../question.ts"
import type { Context, Verb } from "../../verb.ts"

const serverOf = (given: string | undefined): string => {
  const host = (given ?? "").replace(/^https?:\/\//, "").split("/")[0] ?? ""
  return host === "" || host === "docker.io" || host === "index.docker.io"
    ? credentialsKeyOf("docker.io")
    : host
}

const readSecret = async (): Promise<string> => {
  const parts: Buffer[] = []
  for await (const chunk of readStandardInput()) parts.push(chunk)
  return Buffer.concat(parts)
    .toString("utf8")
    .replace(/\r?\n$/, "")
}

/** Shows an account to the registry, through the daemon. Gives what is to be kept. */
const prove = async (context: Context, server: string, account: Account): Promise<Account> => {
  const { IdentityToken } = await context.client.json<{ IdentityToken?: string }>("POST", "/auth", {
    body: {
      username: account.username,
      password: account.password,
      identitytoken: account.identityToken,
      serveraddress: server,
    },
  })
  return IdentityToken ? { ...account, password: "", identityToken: IdentityToken } : account
}

export const verb: Verb = {
  usage: "[OPTIONS] [SERVER]",
  summary: "Authenticate to a registry",
  flags: [
    {
      name: "password",
      short: "p",
      kind: "string",
      value: "string",
      summary: "Password or Personal Access Token (PAT)",
    },
    {
      name: "password-stdin",
      kind: "bool",
      summary: "Take the Password or Personal Access Token (PAT) from stdin",
    },
    { name: "username", short: "u", kind: "string", value: "string", summary: "Username" },
  ],
  interspersed: true,
  least: 0,
  most: 1,
  async run(context, parsed) {
    const server = serverOf(parsed.arguments[0])
    let username = parsed.string("username") ?? ""
    let password = parsed.string("password") ?? ""
    if (parsed.given("password")) {
      context.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
      if (parsed.bool("password-stdin"))
        throw failure("invalid", "--password and --password-stdin are mutually exclusive")
    }
    if (parsed.bool("password-stdin")) {
      if (username === "") throw failure("invalid", "Must provide --username with --password-stdin")
      password = await readSecret()
    }
    const known = username === "" && password === "" ? await findAccount(context.env, server) : undefined
    if (known !== undefined) {
      context.print("Authenticating with existing credentials...")
      try {
        await keepAccount(context.env, server, await prove(context, server, known))
        context.print("Login Succeeded")
        return 0
      } catch (error) {
        if (!context.stdin.isTTY) throw error
        context.print("Login did not succeed, the kept credentials are not accepted any more")
      }
    }
    if ((username === "" || password === "") && !context.stdin.isTTY)
      throw failure("invalid", "Error: Cannot perform an interactive login from a non TTY device")
    if (username === "") username = await askLine(context, "Username: ", { hidden: false })
    if (username === "") throw failure("invalid", "Error: Non-null Username Required")
    if (password === "") password = await askLine(context, "Password: ", { hidden: true })
    if (password === "") throw failure("invalid", "Error: Password Required")
    const account = await prove(context, server, { username, password, identityToken: "" })
    const { unencrypted } = await keepAccount(context.env, server, account)
    if (unencrypted)
      context.warn(
        `\nWARNING! Your credentials are stored unencrypted in '${configFile(context.env)}'.\nName a credential helper there (credsStore) to have them kept safely.\n`,
      )
    context.print("Login Succeeded")
    return 0
  },
}
