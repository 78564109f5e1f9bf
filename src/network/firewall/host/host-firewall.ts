// What other tables on this host mean for containers: copies of their input rules, and sentences about the rest.
import { readFileSync } from "node:fs"
import { errorMessage } from "../../../base/errors.ts"
import type { Kernel } from "../../../kernel/kernel.ts"
import type { Message, TableName } from "../../../kernel/netlink/netlink.ts"
import { batch, encode } from "../../../kernel/netlink/netlink.ts"
import { netfilterRequest } from "../../request.ts"
import type { FirewallMode } from "../guard.ts"
import { copyHostRules } from "./copies.ts"
import { forwardingMessages, shutsForwarding } from "./forwarding.ts"
import type { HostRules } from "./host-rules.ts"
import { readHostRules } from "./host-rules.ts"

/** Tables of the older iptables, which nf_tables does not know. */
const LEGACY_TABLES = "/proc/net/ip_tables_names"

export class HostFirewall {
  readonly #kernel: Kernel
  readonly #table: TableName
  readonly #mode: FirewallMode
  /** Comment of the rules that we put into tables of others. */
  readonly #tag: string
  #copies: readonly Message[] = []
  #print = ""
  /** The copies that the kernel did not take. */
  #refusedPrint: string | undefined
  #refusal = ""
  #shut = ""
  #rules: HostRules = { tables: [], forwards: [] }
  #warnings: readonly string[] = []
  readonly #told = new Set<string>()

  constructor(kernel: Kernel, table: TableName, mode: FirewallMode) {
    this.#kernel = kernel
    this.#table = table
    this.#mode = mode
    this.#tag = `engine ${table.name}`
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
    this.#warnings = [...warnings, ...this.#legacyWarnings()]
    this.#rules = rules
    return changed
  }

  /**
   * Lets containers' packets pass chains of others that drop whatever they do not know (dockerd's and ufw's policies,
   * firewalld's last rule), as far as no rule of theirs drops them. Without bridges what was put there is taken away.
   */
  async openForwarding(bridges: readonly string[]): Promise<void> {
    const messages = forwardingMessages(this.#rules, bridges, this.#tag)
    if (messages.length === 0) return
    try {
      await netfilterRequest(this.#kernel, batch(messages))
      this.#shut = ""
    } catch (error) {
      this.#shut =
        "another firewall table drops forwarded packets, so that containers may not reach other hosts nor be reached " +
        `from there, and no exception can be put there: ${errorMessage(error)}`
    }
  }

  get shutsForwarding(): boolean {
    return shutsForwarding(this.#rules, this.#tag)
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
    return [this.#refusal, this.#shut, ...this.#warnings].filter((warning) => warning !== "")
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
