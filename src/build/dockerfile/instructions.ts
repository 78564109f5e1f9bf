// Contract. A parsed Dockerfile: stages of typed instructions. Words are as written, quotes and variables unexpanded, unless said.
import type { CheckOptions, Finding } from "./lint/findings.ts"

/** Lines of the Dockerfile, 1-based and inclusive. */
export interface Place {
  readonly first: number
  readonly last: number
}

/** A here-document: `<<EOF`. */
export interface Heredoc {
  readonly name: string
  /** Text with leading tabs removed when it was written `<<-`. */
  readonly content: string
  /** The text as written: what RUN hands to a shell that reads `<<-` itself. */
  readonly raw: string
  /** Variables in it are expanded: the name was not quoted. */
  readonly expand: boolean
  readonly fileDescriptor: number
}

/** --flag or --flag=value, in order, as given; values unexpanded. */
export interface Flag {
  readonly name: string
  readonly value: string | undefined
}

interface Written {
  readonly place: Place
  /** The instruction as one line, as history shows it: keyword upper-case, then the rest as written. */
  readonly original: string
  /** The keyword as it was written ("from", "Run"), for lint. */
  readonly keyword: string
  readonly flags: readonly Flag[]
  readonly heredocs: readonly Heredoc[]
  /** Comment lines right above it, for descriptions in outlines. */
  readonly comments: readonly string[]
}

export interface KeyValue {
  readonly key: string
  readonly value: string
  /** Written as `key value` in the old form. */
  readonly legacy?: boolean
}

/** JSON form: words. Shell form: one line; heredocs of RUN are in `heredocs`. */
export interface CommandForm {
  readonly form: "exec" | "shell"
  readonly words: readonly string[]
}

/** RUN --mount after expansion, as `readMount(text, expand)` of mounts.ts gives it. */
export interface RunMount {
  readonly type: "bind" | "cache" | "tmpfs" | "secret" | "ssh"
  readonly from?: string
  readonly source?: string
  readonly target?: string
  readonly readOnly?: boolean
  readonly id?: string
  readonly sharing?: "shared" | "private" | "locked"
  readonly required?: boolean
  /** Octal text's value. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Bytes (tmpfs). */
  readonly size?: number
  /** Environment variable of a secret. */
  readonly env?: string
}

export type Instruction =
  | (Written & {
      readonly type: "ADD" | "COPY"
      readonly sources: readonly string[]
      readonly destination: string
      readonly from?: string
      readonly chown?: string
      readonly chmod?: string
      readonly link: boolean
      readonly parents: boolean
      readonly exclude: readonly string[]
      readonly checksum?: string
      readonly keepGitDir?: boolean
      readonly unpack?: boolean
    })
  | (Written & {
      readonly type: "ARG"
      readonly args: readonly { readonly key: string; readonly value: string | undefined }[]
    })
  | (Written & { readonly type: "CMD" | "ENTRYPOINT"; readonly command: CommandForm })
  | (Written & { readonly type: "ENV" | "LABEL"; readonly pairs: readonly KeyValue[] })
  | (Written & { readonly type: "EXPOSE"; readonly ports: readonly string[] })
  | (Written & {
      readonly type: "FROM"
      readonly image: string
      readonly platform?: string
      readonly name?: string
    })
  | (Written & {
      readonly type: "HEALTHCHECK"
      readonly none: boolean
      readonly command?: CommandForm
      /** Milliseconds, with fractions. */
      readonly interval?: number
      readonly timeout?: number
      readonly startPeriod?: number
      readonly startInterval?: number
      readonly retries?: number
    })
  | (Written & { readonly type: "MAINTAINER"; readonly name: string })
  | (Written & { readonly type: "ONBUILD"; readonly trigger: string })
  | (Written & {
      readonly type: "RUN"
      readonly command: CommandForm
      /** Values of --mount as written: any part may hold variables, so they are read by `readMount` when those are known. */
      readonly mounts: readonly string[]
      readonly network: "default" | "none" | "host"
      readonly security: "sandbox" | "insecure"
      readonly devices: readonly { readonly name: string; readonly required: boolean }[]
    })
  | (Written & { readonly type: "SHELL"; readonly words: readonly string[] })
  | (Written & { readonly type: "STOPSIGNAL"; readonly signal: string })
  | (Written & { readonly type: "USER"; readonly user: string })
  | (Written & { readonly type: "VOLUME"; readonly paths: readonly string[] })
  | (Written & { readonly type: "WORKDIR"; readonly path: string })

export type InstructionOf<
  T extends Instruction["type"],
  I extends Instruction = Instruction,
> = I extends unknown ? (T extends I["type"] ? I & { readonly type: T } : never) : never

export interface Stage {
  readonly from: InstructionOf<"FROM">
  /** Lower-case name given with AS; "" = none. */
  readonly name: string
  readonly instructions: readonly Instruction[]
  readonly place: Place
}

export interface Dockerfile {
  /** As read: UTF-8 lines without line ends, for messages. */
  readonly lines: readonly string[]
  readonly escape: "\\" | "`"
  /** Value of `# syntax=`: "docker/dockerfile:1", or "". */
  readonly syntax: string
  /** Of the check directive; instructions may add to it in their comments (lint/findings.ts). */
  readonly check: CheckOptions
  /** ARG before the first FROM. */
  readonly globalArgs: readonly InstructionOf<"ARG">[]
  readonly stages: readonly Stage[]
  /** What the parser itself found (empty continuation lines, casing …), without what is skipped. */
  readonly findings: readonly Finding[]
}
