// How a step ended, in BuildKit's words.
import { constants } from "node:os"
import { errorKind, errorMessage, type Failure, failure } from "../../../base/errors.ts"
import type { ExitRecord } from "../../../kernel/kernel.ts"
import { formatPlatform, hostPlatform } from "../../../oci/platform.ts"
import type { BuildRequest } from "../../build.ts"
import { BuildFailure } from "../../failure.ts"
import type { ExecNode } from "../../graph/graph.ts"

export const cancelled = (): Failure => failure("cancelled", "context canceled")

const signalName = (number: number): string =>
  Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `signal ${number}`

const detailOf = (node: ExecNode, exitCode?: number) => ({
  ...(node.place === undefined ? {} : { place: node.place }),
  vertex: node.digest,
  ...(exitCode === undefined ? {} : { exitCode }),
})

const sentence = (node: ExecNode, rest: string): string =>
  `process ${JSON.stringify(node.commandText)} did not complete successfully: ${rest}`

/** Of a step that ended with something other than 0. */
export const endFailure = (node: ExecNode, exit: ExitRecord, memory: number): BuildFailure => {
  const why = [`exit code: ${exit.code}`]
  if (exit.oom)
    why.push(
      memory > 0
        ? `cannot allocate memory: it was killed at its limit of ${memory} bytes`
        : "cannot allocate memory: the machine has no more",
    )
  else if (exit.signal !== 0) why.push(`it was killed by ${signalName(exit.signal)}`)
  if (exit.reason !== "") why.push(exit.reason)
  return new BuildFailure("invalid", sentence(node, why.join(": ")), detailOf(node, exit.code))
}

const runtimeWords = /^.*unable to start container process: (.*): unknown$/s

const foreign = ({ platform }: ExecNode): boolean => {
  const host = hostPlatform()
  return platform.architecture !== host.architecture || platform.os !== host.os
}

/**
 * Of a step whose command could not be started. The classic builder's clients get it as the start of a container tells it.
 * What is no fault of the step stays as it is.
 */
export const startFailure = (node: ExecNode, error: unknown, face: BuildRequest["face"]): unknown => {
  const message = errorMessage(error)
  const told = runtimeWords.exec(message)?.[1]
  if (told === undefined && errorKind(error) !== "invalid") return error
  const text = told ?? message
  if (/exec format error/i.test(text) && foreign(node))
    return new BuildFailure(
      "invalid",
      sentence(
        node,
        `${text}: it is for ${formatPlatform(node.platform)} and this machine is ${formatPlatform(hostPlatform())}; ` +
          "install an emulator that the kernel starts by itself (Debian: apt-get install qemu-user-static binfmt-support)",
      ),
      detailOf(node, 126),
      { cause: error },
    )
  const code = /not found|no such file/i.test(text) ? 127 : 126
  const words = face === "classic" ? message : sentence(node, text)
  return new BuildFailure("invalid", words, detailOf(node, code), { cause: error })
}
