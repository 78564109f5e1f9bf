// Which flags each instruction has, and the reading of them; docs/dockerfile.md is made from the table.
import { BuildFailure } from "../failure.ts"
import type { Flag } from "./instructions.ts"
import { withSuggestion } from "./suggestion.ts"

/** switch: on or off; text: one value; texts: may be given several times. */
export type FlagKind = "switch" | "text" | "texts"

/** Instructions that are not named take no flags; ARG and STOPSIGNAL do not even look at them. */
export const flagsOf: Readonly<Record<string, Readonly<Record<string, FlagKind>>>> = {
  ADD: {
    chmod: "text",
    chown: "text",
    checksum: "text",
    exclude: "texts",
    "keep-git-dir": "switch",
    link: "switch",
    unpack: "switch",
  },
  COPY: {
    chmod: "text",
    chown: "text",
    exclude: "texts",
    from: "text",
    link: "switch",
    parents: "switch",
  },
  FROM: { platform: "text" },
  HEALTHCHECK: {
    interval: "text",
    retries: "text",
    "start-interval": "text",
    "start-period": "text",
    timeout: "text",
  },
  RUN: { device: "texts", mount: "texts", network: "text", security: "text" },
}

export interface Flags {
  readonly given: readonly Flag[]
  /** A text's value, "" when it is not given. */
  text(name: string): string
  texts(name: string): readonly string[]
  /** undefined = not given. */
  on(name: string): boolean | undefined
}

export const noFlags: Flags = { given: [], text: () => "", texts: () => [], on: () => undefined }

const refused = (message: string): BuildFailure => new BuildFailure("invalid", message, {})

/** Flags as the line has them ("--name=value"). Throws BuildFailure (invalid): "unknown flag: --x", "missing a value on flag: --x" … */
export const readFlags = (instruction: string, words: readonly string[]): Flags => {
  const kinds = flagsOf[instruction] ?? {}
  const given: Flag[] = []
  for (const word of words) {
    const equals = word.indexOf("=")
    const shown = equals < 0 ? word : word.slice(0, equals)
    const name = shown.slice(2)
    const value = equals < 0 ? undefined : word.slice(equals + 1)
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
    if (kind === undefined) throw refused(withSuggestion(`unknown flag: ${shown}`, name, Object.keys(kinds)))
    if (kind !== "texts" && given.some((flag) => flag.name === name))
      throw refused(`duplicate flag specified: ${shown}`)
    if (kind === "switch" ? value === "" : value === undefined)
      throw refused(`missing a value on flag: ${shown}`)
    if (kind === "switch" && !["true", "false"].includes((value ?? "true").toLowerCase()))
      throw refused(`expecting boolean value for flag ${shown}, not: ${value}`)
    given.push({ name, value })
  }
  const valuesOf = (name: string) =>
    given.filter((flag) => flag.name === name).map((flag) => flag.value ?? "")
  return {
    given,
    text: (name) => valuesOf(name)[0] ?? "",
    texts: valuesOf,
    on: (name) => {
      const value = valuesOf(name)[0]
      return value === undefined ? undefined : value.toLowerCase() !== "false"
    },
  }
}
