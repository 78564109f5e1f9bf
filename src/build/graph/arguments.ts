// Build arguments: the predefined ones, those before the first FROM, and the proxies, which leave no trace.

import { formatPlatform, type Platform } from "../../oci/platform.ts"
import type { BuildRequest } from "../build.ts"
import type { Dockerfile } from "../dockerfile/instructions.ts"
import { expandWord } from "../dockerfile/words.ts"
import { placed } from "../failure.ts"
import { type Environment, withVariable } from "./environment.ts"

/** What --build-arg can replace and every FROM and ARG can see. */
export const platformArguments = (
  build: Platform,
  target: Platform,
  stage: string,
  given: ReadonlyMap<string, string>,
): Environment => {
  const values = {
    BUILDPLATFORM: formatPlatform(build),
    BUILDOS: build.os,
    BUILDOSVERSION: "",
    BUILDARCH: build.architecture,
    BUILDVARIANT: build.variant,
    TARGETPLATFORM: formatPlatform(target),
    TARGETOS: target.os,
    TARGETOSVERSION: "",
    TARGETARCH: target.architecture,
    TARGETVARIANT: target.variant,
    TARGETSTAGE: stage === "" ? "default" : stage,
  }
  return new Map(Object.entries(values).map(([key, value]) => [key, given.get(key) ?? value]))
}

export interface GlobalArguments {
  /** Platform arguments and every global ARG that has a value. */
  readonly env: Environment
  /** Every global ARG, with or without a value. */
  readonly declared: ReadonlySet<string>
}

/** ARG before the first FROM. `given` are --build-arg values. Throws BuildFailure at the line of the ARG. */
export const globalArguments = (
  dockerfile: Dockerfile,
  platform: Environment,
  given: ReadonlyMap<string, string>,
): GlobalArguments => {
  let env = platform
  const declared = new Set<string>()
  for (const instruction of dockerfile.globalArgs)
    for (const { key, value } of instruction.args) {
      declared.add(key)
      const expand = (text: string): string => {
        try {
          return expandWord(text, (name) => env.get(name), dockerfile.escape).text
        } catch (error) {
          throw placed(error, { place: instruction.place })
        }
      }
      const set = given.get(key) ?? (value === undefined ? undefined : expand(value))
      if (set !== undefined) env = withVariable(env, key, set)
    }
  return { env, declared }
}

const proxyNames = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"]

/** "HTTP_PROXY=…" and "http_proxy=…" for every proxy among the build arguments, whatever their case is. */
export const proxyVariables = (request: BuildRequest): readonly string[] =>
  proxyNames.flatMap((name) => {
    const found = [...request.buildArgs].findLast(([key]) => key.toLowerCase() === name)
    return found === undefined ? [] : [`${name.toUpperCase()}=${found[1]}`, `${name}=${found[1]}`]
  })

/** Arguments that need no ARG in the Dockerfile; never in digests or history. */
export const isProxyArgument = (key: string): boolean => proxyNames.includes(key.toLowerCase())
