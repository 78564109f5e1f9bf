// sloop system service install|uninstall: the daemon as a systemd service behind a socket.
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { errorMessage, failure } from "../../../base/errors.ts"
import { UNIT_NAMES, unitFiles } from "../../service-units.ts"
import { ownProgram } from "../../start-daemon.ts"
import type { Context, Verb } from "../../verb.ts"

const UNITS = "/etc/systemd/system"

export const verb: Verb = {
  usage: "[OPTIONS] install|uninstall [DAEMON OPTION...]",
  summary: "Run the daemon as a systemd service, or no longer",
  flags: [
    { name: "docker-socket", kind: "bool", summary: "Answer on /run/docker.sock too" },
    { name: "print", kind: "bool", summary: "Show the units instead of installing them" },
  ],
  interspersed: false,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const [act, ...flags] = parsed.arguments
    if (act !== "install" && act !== "uninstall") {
      throw failure("invalid", `say "install" or "uninstall", not ${JSON.stringify(act)}`)
    }
    const units = unitFiles({
      program: ownProgram(),
      group: firstGroup(["sloop", "docker"]) ?? "root",
      dockerSocket: parsed.bool("docker-socket"),
      flags,
    })
    if (parsed.bool("print")) {
      context.print(
        UNIT_NAMES.map((name) => `# ${UNITS}/${name}\n${units[name]}`)
          .join("\n")
          .trimEnd(),
      )
      return 0
    }
    requireSystemd()
    if (act === "uninstall") uninstall(context)
    else install(context, units)
    return 0
  },
}

function requireSystemd(): void {
  if (!existsSync("/run/systemd/system")) {
    throw failure(
      "unavailable",
      'systemd does not run here, so there is nothing to install into: start "sloop daemon" by this machine\'s own means, or see --print',
    )
  }
  if (process.getuid?.() !== 0)
    throw failure("forbidden", "installing a service needs root: run this again with sudo")
}

function install(context: Context, units: ReturnType<typeof unitFiles>): void {
  try {
    for (const name of UNIT_NAMES) writeFileSync(join(UNITS, name), units[name])
  } catch (cause) {
    throw failure("unavailable", `cannot write the units into ${UNITS}: ${errorMessage(cause)}`, { cause })
  }
  systemctl("daemon-reload")
  systemctl("enable", "sloop.service")
  systemctl("enable", "--now", "sloop.socket")
  context.print("sloop.socket listens; its first client starts sloop.service. Logs: journalctl -u sloop")
}

function uninstall(context: Context): void {
  const there = UNIT_NAMES.filter((name) => existsSync(join(UNITS, name)))
  if (there.length === 0) throw failure("not-found", `no Sloop service is installed in ${UNITS}`)
  systemctl("disable", "--now", ...there)
  for (const name of there) rmSync(join(UNITS, name))
  systemctl("daemon-reload")
  context.print("the service is gone; containers that run stay")
}

function systemctl(...words: readonly string[]): void {
  const { status, stderr, error } = spawnSync("systemctl", words, { encoding: "utf8" })
  if (status === 0) return
  const reason = error?.message ?? stderr.trim().split("\n")[0]
  throw failure("unavailable", `systemctl ${words.join(" ")} failed: ${reason}`)
}

function firstGroup(names: readonly string[]): string | undefined {
  const lines = existsSync("/etc/group") ? readFileSync("/etc/group", "utf8").split("\n") : []
  return names.find((name) => lines.some((line) => line.startsWith(`${name}:`)))
}
