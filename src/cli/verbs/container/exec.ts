// sloop exec
import { failure } from "../../../base/errors.ts"
import { followSize, joinStreams } from "../../container/streams.ts"
import { readVariables } from "../../container/values.ts"
import type { Context, Verb } from "../../verb.ts"

async function attachExec(context: Context, id: string, tty: boolean, stdin: boolean): Promise<number> {
  const size = tty && context.out.isTTY ? [context.out.rows, context.out.columns] : undefined
  const { socket } = await context.client.hijack(`/exec/${id}/start`, {
    body: { Detach: false, Tty: tty, ConsoleSize: size },
  })
  const joined = joinStreams(context, socket, { tty, stdin })
  const stopSizing = tty ? followSize(context, context.client, `/exec/${id}`) : () => undefined
  try {
    await joined.ended
  } finally {
    joined.restore()
    stopSizing()
  }
  const { Running, ExitCode } = await context.client.json<{ Running: boolean; ExitCode: number | null }>(
    "GET",
    `/exec/${id}/json`,
  )
  if (!Running) return ExitCode ?? 0
  context.warn("read escape sequence")
  return 1
}

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  summary: "Execute a command in a running container",
  flags: [
    { name: "detach", short: "d", kind: "bool", summary: "Detached mode: run command in the background" },
    {
      name: "detach-keys",
      kind: "string",
      value: "string",
      summary: "Override the key sequence for detaching a container",
    },
    { name: "env", short: "e", kind: "list", value: "list", summary: "Set environment variables" },
    { name: "env-file", kind: "list", value: "list", summary: "Read in a file of environment variables" },
    { name: "interactive", short: "i", kind: "bool", summary: "Keep STDIN open even if not attached" },
    { name: "privileged", kind: "bool", summary: "Give extended privileges to the command" },
    { name: "tty", short: "t", kind: "bool", summary: "Allocate a pseudo-TTY" },
    {
      name: "user",
      short: "u",
      kind: "string",
      value: "string",
      summary: "Username or UID (format: <name|uid>[:<group|gid>])",
    },
    {
      name: "workdir",
      short: "w",
      kind: "string",
      value: "string",
      summary: "Working directory inside the container",
    },
  ],
  interspersed: false,
  least: 2,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const [name = "", ...command] = parsed.arguments
    const [tty, stdin, detach] = [parsed.bool("tty"), parsed.bool("interactive"), parsed.bool("detach")]
    if (tty && stdin && !detach && !context.stdin.isTTY)
      throw failure("invalid", "the input device is not a TTY")
    const body = {
      Cmd: command,
      Env: readVariables(parsed.list("env"), parsed.list("env-file"), context.env),
      User: parsed.string("user"),
      WorkingDir: parsed.string("workdir"),
      Privileged: parsed.bool("privileged"),
      Tty: tty,
      DetachKeys: parsed.string("detach-keys"),
      AttachStdin: stdin && !detach,
      AttachStdout: !detach,
      AttachStderr: !detach,
    }
    const { Id } = await context.client.json<{ Id: string }>(
      "POST",
      `/containers/${encodeURIComponent(name)}/exec`,
      { body },
    )
    if (!detach) return attachExec(context, Id, tty, stdin)
    await context.client.call("POST", `/exec/${Id}/start`, { body: { Detach: true, Tty: tty } })
    return 0
  },
}
