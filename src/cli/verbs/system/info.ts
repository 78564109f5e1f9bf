// sloop info, in docker's layout

import { errorKind } from "../../../base/errors.ts"
import { VERSION } from "../../../base/version.ts"
import { formatFlag, printFormatted } from "../../format/inspect.ts"
import { binarySize } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

interface Described {
  Containers: number
  ContainersRunning: number
  ContainersPaused: number
  ContainersStopped: number
  Images: number
  ServerVersion: string
  Driver: string
  DriverStatus: [string, string][] | null
  LoggingDriver: string
  CgroupDriver: string
  CgroupVersion: string
  Plugins: { Volume: string[] | null; Network: string[] | null; Log: string[] | null }
  Runtimes: Record<string, unknown> | null
  DefaultRuntime: string
  SecurityOptions: string[] | null
  KernelVersion: string
  OperatingSystem: string
  OSType: string
  Architecture: string
  NCPU: number
  MemTotal: number
  Name: string
  ID: string
  DockerRootDir: string
  Debug: boolean
  ExperimentalBuild: boolean
  Labels: string[] | null
  RegistryConfig?: { InsecureRegistryCIDRs?: string[] | null }
  LiveRestoreEnabled: boolean
  Warnings: string[] | null
}

const words = (list: readonly string[] | null | undefined) => (list ?? []).join(" ")

/** "name=seccomp,profile=builtin" as the option and, indented, what it says of itself. */
function securityLines(option: string): string[] {
  const fields = option.split(",").map((field) => field.split("="))
  return fields.map(([key = "", value = ""]) =>
    key === "name" ? `  ${value}` : `   ${key === "profile" ? "Profile" : key}: ${value}`,
  )
}

function serverLines(about: Described): string[] {
  return [
    "Server:",
    ` Containers: ${about.Containers}`,
    `  Running: ${about.ContainersRunning}`,
    `  Paused: ${about.ContainersPaused}`,
    `  Stopped: ${about.ContainersStopped}`,
    ` Images: ${about.Images}`,
    ` Server Version: ${about.ServerVersion}`,
    ` Storage Driver: ${about.Driver}`,
    ...(about.DriverStatus ?? []).map(([name, value]) => `  ${name}: ${value}`),
    ` Logging Driver: ${about.LoggingDriver}`,
    ` Cgroup Driver: ${about.CgroupDriver}`,
    ` Cgroup Version: ${about.CgroupVersion}`,
    " Plugins:",
    `  Volume: ${words(about.Plugins.Volume)}`,
    `  Network: ${words(about.Plugins.Network)}`,
    `  Log: ${words(about.Plugins.Log)}`,
    ` Runtimes: ${words(Object.keys(about.Runtimes ?? {}).sort())}`,
    ` Default Runtime: ${about.DefaultRuntime}`,
    " Security Options:",
    ...(about.SecurityOptions ?? []).flatMap(securityLines),
    ` Kernel Version: ${about.KernelVersion}`,
    ` Operating System: ${about.OperatingSystem}`,
    ` OSType: ${about.OSType}`,
    ` Architecture: ${about.Architecture}`,
    ` CPUs: ${about.NCPU}`,
    ` Total Memory: ${binarySize(about.MemTotal)}`,
    ` Name: ${about.Name}`,
    ` ID: ${about.ID}`,
    ` Docker Root Dir: ${about.DockerRootDir}`,
    ` Debug Mode: ${about.Debug}`,
    ...(about.Labels && about.Labels.length > 0
      ? [" Labels:", ...about.Labels.map((label) => `  ${label}`)]
      : []),
    ` Experimental: ${about.ExperimentalBuild}`,
    " Insecure Registries:",
    ...(about.RegistryConfig?.InsecureRegistryCIDRs ?? []).map((range) => `  ${range}`),
    ` Live Restore Enabled: ${about.LiveRestoreEnabled}`,
  ]
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Display system-wide information",
  flags: [formatFlag],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const format = parsed.string("format")
    const ClientInfo = { Debug: false, Version: VERSION, Context: "default", Plugins: [], Warnings: null }
    let about: Described | undefined
    let problem: unknown
    try {
      about = await context.client.json<Described>("GET", "/info")
    } catch (error) {
      if (errorKind(error) !== "unavailable" || format !== undefined) throw error
      problem = error
    }
    if (format !== undefined) return printFormatted(context, { ...about, ClientInfo }, format)
    context.print(`Client:\n Version:    ${VERSION}\n Context:    default\n Debug Mode: false\n`)
    if (!about) {
      context.print("Server:")
      throw problem
    }
    context.print(serverLines(about).join("\n"))
    for (const warning of about.Warnings ?? []) context.warn(warning)
    return 0
  },
}
