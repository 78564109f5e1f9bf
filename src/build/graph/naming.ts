// Names of vertices, as BuildKit prints them: "[build 2/5] RUN make".
import { formatPlatform, normalisePlatform, type Platform, parsePlatform } from "../../oci/platform.ts"
import type { Environment } from "./environment.ts"
import type { PlannedStage } from "./stage.ts"

/** The platform that a stage builds for, when it says so by TARGET* variables. */
const targetOf = (env: Environment): Partial<Platform> | undefined => {
  const found: { os?: string; architecture?: string; variant?: string } = {}
  for (const [key, value] of env)
    if (key === "TARGETPLATFORM") {
      try {
        return parsePlatform(value)
      } catch {}
    } else if (key === "TARGETOS") found.os = value
    else if (key === "TARGETARCH") found.architecture = value
    else if (key === "TARGETVARIANT") found.variant = value
  return Object.keys(found).length === 0 ? undefined : found
}

/** "->arm64" when what is built is for another machine than it is built on. */
const crossing = (base: Platform, env: Environment): string => {
  const target = targetOf(env)
  if (target === undefined) return ""
  const platform = normalisePlatform({
    os: target.os || base.os,
    architecture: target.architecture || base.architecture,
    variant: target.variant ?? "",
  })
  if (platform.os !== base.os) return `->${formatPlatform(platform)}`
  if (platform.architecture === base.architecture) return ""
  return `->${platform.architecture}${platform.variant === "" ? "" : `/${platform.variant}`}`
}

/** Counts the step and names it. `platform` is given when several are built at once. */
export const stepName = (
  stage: PlannedStage,
  words: string,
  onBuild: boolean,
  env: Environment,
  platform: Platform | undefined,
): string => {
  if (stage.total === 0) return words
  stage.counted++
  const shownPlatform = platform === undefined ? "" : `${formatPlatform(platform)}${crossing(platform, env)} `
  const stageName = stage.shown === "" ? "" : `${stage.shown} `
  const number = String(stage.counted).padStart(String(stage.total).length)
  return `[${shownPlatform}${stageName}${number}/${stage.total}] ${onBuild ? "ONBUILD " : ""}${words}`
}

/** The first line of a here-document, for the name of the step that runs it. */
export const heredocSummary = (text: string): string => {
  const lines = text.trim().replaceAll("\r\n", "\n").split("\n")
  return `${lines[0] ?? ""}${lines.length > 1 ? "..." : ""}`
}
