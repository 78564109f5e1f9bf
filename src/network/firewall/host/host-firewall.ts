// What other tables on this host mean for containers: copies of their input rules, and sentences about the rest.
import { readFileSync } from "node:fs"
import { errorMessage } from "../../../base/errors.ts"
import type { Kernel } from "../../../kernel/kernel.ts"
import type { Message, TableName } from "../../../kernel/netlink/netlink.ts"
import { encode } from "../../../kernel/netlink/netlink.ts"
import type { FirewallMode } from "../guard.ts"
import { copyHostRules } from "./copies.ts"
import type { HostRules } from "./host-rules.ts"
import { readHostRules } from "./host-rules.ts"

/** Tables of the older iptables, which nf_tables does not know. */
const LEGACY_TABLES = "/proc/net/ip_tables_names"

export class HostFirewall {
  readonly #kernel: Kernel
  readonly #table: TableName
  readonly #mode: FirewallMode
  #copies: readonly Message[] = []
  #print = ""
  /** The copies that the kernel did not take. */
  #refusedPrint: string | undefined
  #refusal = ""
  #warnings: readonly string[] = []
  readonly #told = new Set<string>()

  constructor(kernel: Kernel, table: TableName, mode: FirewallMode) {
    this.#kernel = kernel
    this.#table = table
    this.#mode = mode
  }

  /** The host's input rules as messages for our own table. */
  get copies(): readonly Message[] {
    return this.#copies
  }

  /** Reads other tables anew; true when the copies have changed. */
  async look(): Promise<boolean> {
    const rules = await readHostRules(this.#kernel, this.#table.name)
    const { messages, warnings } =
      this.#mode === "honest" ? copyHostRules(rules, this.#table) : { messages: [], warnings: [] }
    const print = encode(messages).bytes.toString("latin1")
    const changed = print !== this.#print
    this.#print = print
    if (print !== this.#refusedPrint) this.#refusal = ""
    this.#copies = this.#refusal === "" ? messages : []
    this.#warnings = [...forwardWarnings(rules), ...warnings, ...this.#legacyWarnings()]
    return changed
  }

  /** The kernel does not take the copies: published ports are as Docker's until the rules change. */
  refused(error: unknown): void {
    this.#refusedPrint = this.#print
    this.#refusal =
      "this host's own firewall rules are not heeded for published ports, because the kernel does not take their copies: " +
      errorMessage(error)
    this.#copies = []
  }

  #legacyWarnings(): string[] {
    if (this.#mode !== "honest") return []
    try {
      if (!readFileSync(LEGACY_TABLES, "latin1").split("\n").includes("filter")) return []
    } catch {
      return [] // the kernel has no such tables
    }
    return [
      "rules of iptables-legacy are not heeded for published ports: this engine sees those of nf_tables only (iptables-nft, nft, ufw, firewalld)",
    ]
  }

  warnings(): string[] {
    return this.#refusal === "" ? [...this.#warnings] : [this.#refusal, ...this.#warnings]
  }

  /** Warnings that were not told yet; one that has ended meanwhile is told again when it comes back. */
  untold(): string[] {
    const now = this.warnings()
    const fresh = now.filter((warning) => !this.#told.has(warning))
    this.#told.clear()
    for (const warning of now) this.#told.add(warning)
    return fresh
  }
}

/** A base chain at forward whose policy is drop (dockerd and ufw set one) drops what it does not accept itself. */
const forwardWarnings = ({ forwards }: HostRules): string[] =>
  forwards
    .filter(({ policy }) => policy === "drop")
    .map(
      ({ name, table }) =>
        `chain ${name} of firewall table ${table} drops forwarded packets by its policy: ` +
        "containers may not reach other hosts, nor be reached at published ports from there, until it accepts them",
    )
