// Flags that stand before the verb.
import type { Flag } from "./flags.ts"

export const globalFlags: readonly Flag[] = [
  { name: "host", short: "H", kind: "list", summary: "Daemon socket to connect to", value: "list" },
  { name: "config", kind: "string", summary: "Location of client config files", value: "string" },
  { name: "context", short: "c", kind: "string", summary: "Name of the context to use", value: "string" },
  { name: "debug", short: "D", kind: "bool", summary: "Enable debug mode" },
  { name: "log-level", short: "l", kind: "string", summary: "Set the logging level", value: "string" },
  { name: "tls", kind: "bool", summary: "Use TLS; implied by --tlsverify" },
  { name: "tlscacert", kind: "string", summary: "Trust certs signed only by this CA", value: "string" },
  { name: "tlscert", kind: "string", summary: "Path to TLS certificate file", value: "string" },
  { name: "tlskey", kind: "string", summary: "Path to TLS key file", value: "string" },
  { name: "tlsverify", kind: "bool", summary: "Use TLS and verify the remote" },
  { name: "version", short: "v", kind: "bool", summary: "Print version information and quit" },
  { name: "help", short: "h", kind: "bool", summary: "Print usage" },
]
