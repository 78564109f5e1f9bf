// Credentials of registries where docker's client keeps them: config.json, or the helper program that it names.
import { spawn } from "node:child_process"
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { errorMessage, failure } from "../base/errors.ts"
import { isJsonObject, type JsonObject } from "../base/json-bounded.ts"
import { credentialsKeyOf, parseReference } from "../oci/reference.ts"
import type { Context } from "./verb.ts"

export interface Account {
  readonly username: string
  readonly password: string
  /** A token that a login gave instead of the password. */
  readonly identityToken: string
}

type Environment = Context["env"]

/** Directory of config.json and of what else a client keeps. */
export const configDirectory = (env: Environment): string =>
  env.SLOOP_CONFIG || env.DOCKER_CONFIG || join(env.HOME || homedir(), ".docker")

export const configFile = (env: Environment): string => join(configDirectory(env), "config.json")

const readConfig = (env: Environment): JsonObject => {
  const path = configFile(env)
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return {}
    throw failure("invalid", `cannot read ${path}: ${errorMessage(error)}`, { cause: error })
  }
  if (text.trim() === "") return {}
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw failure("invalid", `${path} is not valid JSON: ${errorMessage(cause)}`, { cause })
  }
  if (!isJsonObject(document)) throw failure("invalid", `${path} is not a JSON object`)
  return document
}

const writeConfig = (env: Environment, config: JsonObject): void => {
  const path = configFile(env)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}`
  try {
    writeFileSync(temporary, `${JSON.stringify(config, null, "\t")}\n`, { mode: 0o600, flag: "wx" })
    renameSync(temporary, path)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw failure("invalid", `cannot write ${path}: ${errorMessage(cause)}`, { cause })
  }
}

/** Keeps one setting of config.json, or removes it. Throws Failure "invalid" when the file cannot be read or written. */
export const keepSetting = (env: Environment, key: string, value: string | undefined): void => {
  const { [key]: _, ...rest } = readConfig(env)
  writeConfig(env, value === undefined ? rest : { ...rest, [key]: value })
}

const objectAt = (config: JsonObject, key: string): JsonObject => {
  const value = config[key]
  return isJsonObject(value) ? value : {}
}
const textAt = (object: JsonObject, key: string): string => {
  const value = object[key]
  return typeof value === "string" ? value : ""
}

/** The host in any of the forms under which clients have kept accounts. */
const hostOf = (key: string): string => key.replace(/^https?:\/\//, "").split("/")[0] ?? ""

/** The helper that keeps a registry's account, undefined when config.json does itself. */
const helperOf = (config: JsonObject, server: string): string | undefined => {
  const name = textAt(objectAt(config, "credHelpers"), hostOf(server)) || textAt(config, "credsStore")
  if (name === "") return undefined
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name))
    throw failure("invalid", `the credential helper "${name}" in config.json is no name of a program`)
  return `docker-credential-${name}`
}

/** Runs a helper by its protocol: a word, text in, text out. Gives undefined when it says that it has none. */
const askHelper = (
  program: string,
  action: "get" | "store" | "erase",
  input: string,
): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, [action], { stdio: ["pipe", "pipe", "inherit"] })
    const parts: Buffer[] = []
    child.stdout.on("data", (chunk: Buffer) => parts.push(chunk))
    child.once("error", (cause) =>
      reject(
        failure("invalid", `error getting credentials: cannot run ${program}: ${cause.message}`, { cause }),
      ),
    )
    child.once("close", (code) => {
      const text = Buffer.concat(parts).toString("utf8").trim()
      if (code === 0) resolve(text)
      else if (/credentials not found/i.test(text)) resolve(undefined)
      else
        reject(
          failure(
            "invalid",
            `error ${action === "get" ? "getting" : action === "store" ? "storing" : "erasing"} credentials: ${program}: ${text || `exit status ${code}`}`,
          ),
        )
    })
    // A helper that does not read its input is still heard.
    child.stdin.on("error", () => {})
    child.stdin.end(input)
  })

const accountOf = (entry: JsonObject): Account | undefined => {
  const identityToken = textAt(entry, "identitytoken")
  let username = textAt(entry, "username")
  let password = textAt(entry, "password")
  const auth = textAt(entry, "auth")
  if (auth !== "") {
    const text = Buffer.from(auth, "base64").toString("utf8")
    const colon = text.indexOf(":")
    if (colon <= 0)
      throw failure("invalid", "invalid auth configuration file: an auth entry holds no name and password")
    username = text.slice(0, colon)
    password = text.slice(colon + 1).replace(/\0+$/, "")
  }
  return username === "" && identityToken === "" ? undefined : { username, password, identityToken }
}

/** The account for a server ("registry.example:5000", or docker.io's key); undefined when there is none. */
export const findAccount = async (env: Environment, server: string): Promise<Account | undefined> => {
  const config = readConfig(env)
  const helper = helperOf(config, server)
  if (helper !== undefined) {
    const text = await askHelper(helper, "get", server)
    if (text === undefined) return undefined
    let document: unknown
    try {
      document = JSON.parse(text)
    } catch (cause) {
      throw failure(
        "invalid",
        `error getting credentials: ${helper} answered with something that is not JSON`,
        { cause },
      )
    }
    if (!isJsonObject(document)) return undefined
    const [username, secret] = [textAt(document, "Username"), textAt(document, "Secret")]
    if (username === "<token>") return { username: "", password: "", identityToken: secret }
    return username === "" ? undefined : { username, password: secret, identityToken: "" }
  }
  const auths = objectAt(config, "auths")
  const key = Object.hasOwn(auths, server)
    ? server
    : Object.keys(auths).find((other) => hostOf(other) === hostOf(server))
  const entry = key === undefined ? undefined : auths[key]
  return isJsonObject(entry) ? accountOf(entry) : undefined
}

/** Keeps an account. Tells whether it lies unencrypted in config.json. */
export const keepAccount = async (
  env: Environment,
  server: string,
  account: Account,
): Promise<{ unencrypted: boolean }> => {
  const config = readConfig(env)
  const auths = { ...objectAt(config, "auths") }
  const helper = helperOf(config, server)
  if (helper === undefined) {
    const auth = Buffer.from(`${account.username}:${account.password}`).toString("base64")
    auths[server] =
      account.identityToken === ""
        ? { auth }
        : {
            auth: Buffer.from(`${account.username}:`).toString("base64"),
            identitytoken: account.identityToken,
          }
  } else {
    const [Username, Secret] =
      account.identityToken === "" ? [account.username, account.password] : ["<token>", account.identityToken]
    await askHelper(helper, "store", JSON.stringify({ ServerURL: server, Username, Secret }))
    // An empty entry says that there is an account, as docker's client has it.
    auths[server] = {}
  }
  writeConfig(env, { ...config, auths })
  return { unencrypted: helper === undefined }
}

/** Forgets an account; one that is not there is fine. */
export const forgetAccount = async (env: Environment, server: string): Promise<void> => {
  const config = readConfig(env)
  const helper = helperOf(config, server)
  const auths = { ...objectAt(config, "auths") }
  const keys = Object.keys(auths).filter((key) => key === server || hostOf(key) === hostOf(server))
  if (helper !== undefined && (await findAccount(env, server)) !== undefined)
    await askHelper(helper, "erase", server)
  for (const key of keys) delete auths[key]
  if (keys.length > 0) writeConfig(env, { ...config, auths })
}

const encoded = (server: string, account: Account): string =>
  Buffer.from(
    JSON.stringify({
      username: account.username,
      password: account.password,
      identitytoken: account.identityToken,
      serveraddress: server,
    }),
  ).toString("base64url")

/** The header that carries the account for an image's registry to the daemon; none without an account. */
export const registryHeaders = async (
  env: Environment,
  reference: string,
): Promise<Readonly<Record<string, string>>> => {
  const server = credentialsKeyOf(parseReference(reference).domain)
  const account = await findAccount(env, server)
  return account === undefined ? {} : { "X-Registry-Auth": encoded(server, account) }
}
