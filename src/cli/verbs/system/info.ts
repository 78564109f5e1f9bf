// sloop info
import { formatFlag } from "../../format/inspect.ts"
import { binarySize } from "../../format/units.ts"
import { compileTemplate } from "../../template/template.ts"
import type { Verb } from "../../verb.ts"

interface Described {
  Containers: number
  ContainersRunning: number
  ContainersPaused: number
  ContainersStopped: number
  Images: number
  ServerVersion: string
  Driver: string
  LoggingDriver: string
  CgroupDriver: string
  CgroupVersion: string
  KernelVersion: string
  OperatingSystem: string
  Architecture: string
  NCPU: number
  MemTotal: number
  Name: string
  ID: string
  DockerRootDir: string
  Warnings: string[] | null
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Display system-wide information",
  flags: [formatFlag],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const about = await context.client.json<Described>("GET", "/info")
    const format = parsed.string("format")
    if (format !== undefined) {
      context.print(format === "json" ? JSON.stringify(about) : compileTemplate(format)(about))
      return 0
    }
    const rows: readonly (readonly [string, string | number])[] = [
      ["Containers", about.Containers],
      [" Running", about.ContainersRunning],
      [" Paused", about.ContainersPaused],
      [" Stopped", about.ContainersStopped],
      ["Images", about.Images],
      ["Server Version", about.ServerVersion],
      ["Storage Driver", about.Driver],
      ["Logging Driver", about.LoggingDriver],
      ["Cgroup Driver", about.CgroupDriver],
      ["Cgroup Version", about.CgroupVersion],
      ["Kernel Version", about.KernelVersion],
      ["Operating System", about.OperatingSystem],
      ["Architecture", about.Architecture],
      ["CPUs", about.NCPU],
      ["Total Memory", binarySize(about.MemTotal)],
      ["Name", about.Name],
      ["ID", about.ID],
      ["Data Root", about.DockerRootDir],
    ]
    context.print("Server:")
    for (const [name, value] of rows) context.print(` ${name}: ${value}`)
    for (const warning of about.Warnings ?? []) context.warn(warning)
    return 0
  },
}
