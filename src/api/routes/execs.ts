// Execs: processes that join a running container.
import { errorMessage, failure } from "../../base/errors.ts"
import type { Engine, ExecConfig } from "../../engine/engine.ts"
import { type ExecInspect, execCreateSchema, execStartSchema } from "../../wire/wire.ts"
import { readJson, readOptionalJson } from "../body.ts"
import type { Call, Hijacked } from "../call.ts"
import type { Route } from "../route.ts"
import { frame, RAW_STREAM, streamType } from "../stream/frames.ts"
import { splice } from "../stream/splice.ts"
import { present } from "../translate/present.ts"
import { windowSize } from "./containers.ts"

export function execRoutes({ execs }: Pick<Engine, "execs">): Route[] {
  async function create(call: Call): Promise<void> {
    const request = await readJson(call.request, execCreateSchema)
    const command = request.Cmd ?? []
    if (command.length === 0) throw failure("invalid", "No exec command specified")
    const id = await execs.create(
      call.param("id"),
      present<ExecConfig>({
        command,
        env: request.Env,
        user: request.User,
        workingDirectory: request.WorkingDir,
        tty: request.Tty,
        privileged: request.Privileged,
        attachStdin: request.AttachStdin,
        attachStdout: request.AttachStdout,
        attachStderr: request.AttachStderr,
        detachKeys: request.DetachKeys,
        consoleSize: request.ConsoleSize,
      }),
    )
    call.json({ Id: id }, 201)
  }

  async function start(call: Call): Promise<void> {
    const { Detach, Tty, ConsoleSize } = await readOptionalJson(call.request, execStartSchema)
    const id = call.param("id")
    const record = execs.get(id)
    const typeOf = (tty: boolean) =>
      call.request.headers.upgrade === undefined ? RAW_STREAM : streamType(tty, call.minor)
    // As Docker's: who does not say here that there is a terminal gets frames, though it gave the command one.
    const framed = record.tty && !Tty
    // The client hears at once that it may attach, and gets ready while the command is launched.
    let client: Hijacked | undefined
    const hijack = (): Hijacked => {
      client ??= call.hijack(typeOf(record.tty && Tty))
      return client
    }
    try {
      const attached = await execs.start(record.id, {
        detach: Detach,
        tty: Tty,
        ...(ConsoleSize === undefined ? {} : { consoleSize: ConsoleSize }),
        accepted: () => void hijack(),
      })
      if (attached === undefined) call.empty(200)
      else void splice(hijack(), attached.stream, { stdin: record.attachStdin, framed, breath: call.breath })
    } catch (error) {
      // A command that could not run has an exit code; Docker tells why in the stream, and clients ask for the code.
      if (client === undefined && (Detach || execs.get(id).exitCode === undefined)) throw error
      const reason = Buffer.from(`${errorMessage(error)}\r\n`)
      const { input, output } = hijack()
      output.end(record.tty && Tty ? reason : frame("stdout", reason))
      input.resume()
    }
  }

  async function resize(call: Call): Promise<void> {
    await execs.resize(call.param("id"), ...windowSize(call.query))
    call.empty(200)
  }

  function inspect(call: Call): void {
    const record = execs.get(call.param("id"))
    const [entrypoint = "", ...words] = record.command
    const view: ExecInspect = {
      ID: record.id,
      Running: record.running,
      ExitCode: record.exitCode ?? null,
      ProcessConfig: {
        tty: record.tty,
        entrypoint,
        arguments: words,
        privileged: record.privileged,
        ...(record.user === "" ? {} : { user: record.user }),
      },
      OpenStdin: record.attachStdin,
      OpenStderr: record.attachStderr,
      OpenStdout: record.attachStdout,
      CanRemove: record.exitCode !== undefined,
      ContainerID: record.containerId,
      DetachKeys: "",
      Pid: record.pid,
    }
    call.json(view)
  }

  const support = "yes"
  return [
    { method: "POST", path: "/containers/:id/exec", summary: "Prepare an exec", support, run: create },
    {
      method: "POST",
      path: "/exec/:id/start",
      summary: "Start an exec",
      support,
      hijacks: true,
      run: start,
    },
    { method: "POST", path: "/exec/:id/resize", summary: "Resize its terminal", support, run: resize },
    { method: "GET", path: "/exec/:id/json", summary: "Inspect an exec", support, run: inspect },
  ]
}
