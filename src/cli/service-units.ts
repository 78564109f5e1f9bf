// The systemd units of the daemon: a socket that is always there, and a service that its first client starts.
import { LEAN_SETTINGS } from "../base/lean-settings.ts"

export interface ServiceOptions {
  /** Absolute words that start this program. */
  readonly program: readonly string[]
  /** Group that may reach the socket. */
  readonly group: string
  readonly dockerSocket: boolean
  /** Further words of `sloop daemon`. */
  readonly flags: readonly string[]
}

export const UNIT_NAMES = ["sloop.socket", "sloop.service"] as const

/** Unit files by name. */
export function unitFiles(options: ServiceOptions): Readonly<Record<(typeof UNIT_NAMES)[number], string>> {
  const words = [...options.program, "daemon", "--host", "fd://", ...options.flags]
  return {
    "sloop.socket": `[Unit]
Description=Sockets of the Sloop container engine

[Socket]
ListenStream=/run/sloop/sloop.sock
${options.dockerSocket ? "ListenStream=/run/docker.sock\n" : ""}DirectoryMode=0711
SocketMode=0660
SocketUser=root
SocketGroup=${options.group}

[Install]
WantedBy=sockets.target
`,
    "sloop.service": `[Unit]
Description=Sloop container engine
Requires=sloop.socket
After=sloop.socket network-online.target
Wants=network-online.target
StartLimitBurst=3
StartLimitIntervalSec=60

[Service]
Type=notify
NotifyAccess=all
${Object.entries(LEAN_SETTINGS)
  .map(([name, value]) => `Environment=${name}=${value}`)
  .join("\n")}
ExecStart=${words.map(quoted).join(" ")}
# Containers live on when the daemon ends: only its own process is stopped.
KillMode=process
Delegate=yes
Restart=on-failure
RestartSec=2
OOMScoreAdjust=-500
LimitNOFILE=1048576
LimitNPROC=infinity
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`,
  }
}

/** A word of ExecStart: quoted where it must be, with systemd's own marks doubled. */
const quoted = (word: string): string => {
  const plain = word.replaceAll("%", "%%").replaceAll("$", "$$$$")
  return /[\s"'\\;]/.test(plain) ? `"${plain.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"` : plain
}
