// The second pass: an instruction that is taken apart becomes a typed one, with its own rules and messages.
import { BuildFailure } from "../failure.ts"
import { type Flags, noFlags, readFlags } from "./flags.ts"
import { readDuration, readInteger } from "./go-values.ts"
import { chomped, readHeredocWord } from "./heredocs.ts"
import type { CommandForm, Heredoc, Instruction, InstructionOf } from "./instructions.ts"
import type { RawInstruction } from "./lines.ts"
import { mountFrom, readDevice } from "./mounts.ts"
import { quoted } from "./quoted.ts"
import { trim } from "./spaces.ts"
import { withSuggestion } from "./suggestion.ts"

export const instructionNames = [
  "ADD",
  "ARG",
  "CMD",
  "COPY",
  "ENTRYPOINT",
  "ENV",
  "EXPOSE",
  "FROM",
  "HEALTHCHECK",
  "LABEL",
  "MAINTAINER",
  "ONBUILD",
  "RUN",
  "SHELL",
  "STOPSIGNAL",
  "USER",
  "VOLUME",
  "WORKDIR",
] as const satisfies readonly Instruction["type"][]

type Name = Instruction["type"]

const refused = (message: string): BuildFailure => new BuildFailure("invalid", message, {})

const isName = (name: string): name is Name => instructionNames.some((known) => known === name)

/** Throws BuildFailure (invalid) without a place: the caller knows it. */
export const readInstruction = (raw: RawInstruction): Instruction => {
  const name = raw.keyword.toUpperCase()
  if (!isName(name))
    throw refused(withSuggestion(`unknown instruction: ${raw.keyword}`, raw.keyword, instructionNames, false))
  return readers[name](raw)
}

const written = (raw: RawInstruction, flags: Flags = noFlags) => {
  const line = trim(raw.line)
  return {
    place: raw.place,
    original: line.slice(0, raw.keyword.length).toUpperCase() + line.slice(raw.keyword.length),
    keyword: raw.keyword,
    flags: flags.given,
    heredocs: raw.heredocs,
    comments: raw.comments,
  }
}

/** For instructions that have no flags: any is refused. */
const plain = (raw: RawInstruction, name: Name) => written(raw, readFlags(name, raw.flags))

const atLeastOne = (name: string): BuildFailure => refused(`${name} requires at least one argument`)

const onlyWord = (raw: RawInstruction, name: Name): string => {
  const [word] = raw.words
  if (word === undefined || raw.words.length !== 1) throw refused(`${name} requires exactly one argument`)
  return word
}

const command = (raw: RawInstruction, words: readonly string[] = raw.words): CommandForm => ({
  form: raw.json ? "exec" : "shell",
  words,
})

const pairsOf = (raw: RawInstruction, name: "ENV" | "LABEL") => {
  const base = plain(raw, name)
  if (raw.pairs.length === 0) throw atLeastOne(name)
  if (raw.pairs.some((pair) => pair.key === "")) throw refused(`${name} names can not be blank`)
  return { ...base, pairs: raw.pairs }
}

const copy = (raw: RawInstruction, name: "ADD" | "COPY"): InstructionOf<"ADD" | "COPY"> => {
  const destination = raw.words.at(-1)
  if (destination === undefined || raw.words.length < 2)
    throw refused(
      `${name} requires at least two arguments, but only one was provided. Destination could not be determined`,
    )
  const flags = readFlags(name, raw.flags)
  if (opensHeredoc(destination) !== undefined)
    throw refused(`${name} cannot accept a heredoc as a destination`)
  const sources: string[] = []
  const heredocs: Heredoc[] = []
  for (const source of raw.words.slice(0, -1)) {
    const word = opensHeredoc(source)
    if (word === undefined) {
      sources.push(source)
      continue
    }
    // Of two with the same name the later text counts for both.
    const text = raw.heredocs.findLast((heredoc) => heredoc.name === word.name)
    heredocs.push({
      name: word.name,
      content: word.chomp ? chomped(text?.raw ?? "") : (text?.raw ?? ""),
      raw: text?.raw ?? "",
      expand: word.expand,
      fileDescriptor: word.fileDescriptor,
    })
  }
  const said = (flag: string) => (flags.text(flag) === "" ? {} : { [flag]: flags.text(flag) })
  const keepGitDir = flags.on("keep-git-dir")
  const unpack = flags.on("unpack")
  return {
    ...written(raw, flags),
    type: name,
    sources,
    destination,
    heredocs,
    link: flags.on("link") === true,
    parents: flags.on("parents") === true,
    exclude: flags.texts("exclude"),
    ...said("from"),
    ...said("chown"),
    ...said("chmod"),
    ...said("checksum"),
    ...(keepGitDir === undefined ? {} : { keepGitDir }),
    ...(unpack === undefined ? {} : { unpack }),
  }
}

const opensHeredoc = (word: string) => {
  try {
    return readHeredocWord(word)
  } catch {
    return undefined
  }
}

const from = (raw: RawInstruction): InstructionOf<"FROM"> => {
  const [image, as, name] = raw.words
  const named = raw.words.length === 3 && as?.toLowerCase() === "as"
  if (image === undefined || (raw.words.length !== 1 && !named))
    throw refused("FROM requires either one or three arguments")
  if (named && !/^[a-z][a-z0-9-_.]*$/.test((name ?? "").toLowerCase()))
    throw refused(
      `invalid name for build stage: ${quoted(name ?? "")}, name can't start with a number or contain symbols`,
    )
  const flags = readFlags("FROM", raw.flags)
  const platform = flags.text("platform")
  return {
    ...written(raw, flags),
    type: "FROM",
    image,
    ...(platform === "" ? {} : { platform }),
    ...(name === undefined ? {} : { name }),
  }
}

const onbuild = (raw: RawInstruction): InstructionOf<"ONBUILD"> => {
  if (raw.inner === undefined) throw atLeastOne("ONBUILD")
  const base = plain(raw, "ONBUILD")
  const name = raw.inner.keyword.toUpperCase()
  if (name === "ONBUILD") throw refused("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (name === "MAINTAINER" || name === "FROM") throw refused(`${name} isn't allowed as an ONBUILD trigger`)
  const text = raw.line.replace(/^\s*ONBUILD\s*/i, "")
  const trigger = text + raw.heredocs.map((heredoc) => `\n${heredoc.raw}${heredoc.name}`).join("")
  return { ...base, type: "ONBUILD", trigger }
}

const networks = ["default", "none", "host"] as const
const securities = ["sandbox", "insecure"] as const

const run = (raw: RawInstruction): InstructionOf<"RUN"> => {
  const flags = readFlags("RUN", raw.flags)
  const devices = flags.texts("device").map(readDevice)
  const mounts = flags.texts("mount")
  for (const mount of mounts) mountFrom(mount)
  const given = (name: string) => flags.given.some((flag) => flag.name === name)
  const network = given("network") ? flags.text("network") : "default"
  const knownNetwork = networks.find((known) => known === network)
  if (knownNetwork === undefined) throw refused(`invalid network mode ${quoted(network)}`)
  const security = given("security") ? flags.text("security") : "sandbox"
  const knownSecurity = securities.find((known) => known === security)
  if (knownSecurity === undefined) throw refused(`security ${quoted(security)} is not valid`)
  return {
    ...written(raw, flags),
    type: "RUN",
    command: command(raw),
    mounts,
    network: knownNetwork,
    security: knownSecurity,
    devices,
  }
}

const healthcheck = (raw: RawInstruction): InstructionOf<"HEALTHCHECK"> => {
  const [kind, ...words] = raw.words
  if (kind === undefined) throw atLeastOne("HEALTHCHECK")
  const type = kind.toUpperCase()
  if (type === "NONE") {
    if (words.length > 0) throw refused("HEALTHCHECK NONE takes no arguments")
    return { ...written(raw), type: "HEALTHCHECK", none: true }
  }
  const flags = readFlags("HEALTHCHECK", raw.flags)
  if (type !== "CMD") throw refused(`Unknown type ${quoted(type)} in HEALTHCHECK (try CMD)`)
  if (words.length === 0) throw refused("Missing command after HEALTHCHECK CMD")
  const interval = (flag: string, key: "interval" | "timeout" | "startPeriod" | "startInterval") => {
    const value = span(flags.text(flag), flag)
    return value === 0 ? {} : { [key]: value }
  }
  const spans = {
    ...interval("interval", "interval"),
    ...interval("timeout", "timeout"),
    ...interval("start-period", "startPeriod"),
    ...interval("start-interval", "startInterval"),
  }
  const retries = flags.text("retries") === "" ? 0 : readInteger(flags.text("retries"))
  if (retries < 0) throw refused(`--retries cannot be negative (${retries})`)
  return {
    ...written(raw, flags),
    type: "HEALTHCHECK",
    none: false,
    command: command(raw, words),
    ...spans,
    ...(retries === 0 ? {} : { retries }),
  }
}

/** Milliseconds; 0 when it is not given. */
const span = (text: string, flag: string): number => {
  const value = text === "" ? 0 : readDuration(text)
  if (value !== 0 && value < 1) throw refused(`Interval ${quoted(flag)} cannot be less than 1ms`)
  return value
}

const arg = (raw: RawInstruction): InstructionOf<"ARG"> => {
  if (raw.words.length === 0) throw atLeastOne("ARG")
  const args = raw.words.map((word) => {
    const equals = word.indexOf("=")
    if (equals === 0) throw refused("ARG names can not be blank")
    return equals < 0
      ? { key: word, value: undefined }
      : { key: word.slice(0, equals), value: word.slice(equals + 1) }
  })
  return { ...written(raw), type: "ARG", args }
}

const shell = (raw: RawInstruction): InstructionOf<"SHELL"> => {
  const base = plain(raw, "SHELL")
  if (raw.words.length === 0) throw atLeastOne("SHELL")
  if (!raw.json) throw refused("SHELL requires the arguments to be in JSON form")
  return { ...base, type: "SHELL", words: raw.words }
}

const volume = (raw: RawInstruction): InstructionOf<"VOLUME"> => {
  if (raw.words.length === 0) throw atLeastOne("VOLUME")
  const base = plain(raw, "VOLUME")
  const paths = raw.words.map(trim)
  if (paths.includes("")) throw refused("VOLUME specified can not be an empty string")
  return { ...base, type: "VOLUME", paths }
}

const expose = (raw: RawInstruction): InstructionOf<"EXPOSE"> => {
  if (raw.words.length === 0) throw atLeastOne("EXPOSE")
  return { ...plain(raw, "EXPOSE"), type: "EXPOSE", ports: [...raw.words].sort() }
}

const readers: Readonly<Record<Name, (raw: RawInstruction) => Instruction>> = {
  ADD: (raw) => copy(raw, "ADD"),
  COPY: (raw) => copy(raw, "COPY"),
  ARG: arg,
  CMD: (raw) => ({ ...plain(raw, "CMD"), type: "CMD", command: command(raw) }),
  ENTRYPOINT: (raw) => ({ ...plain(raw, "ENTRYPOINT"), type: "ENTRYPOINT", command: command(raw) }),
  ENV: (raw) => ({ ...pairsOf(raw, "ENV"), type: "ENV" }),
  LABEL: (raw) => ({ ...pairsOf(raw, "LABEL"), type: "LABEL" }),
  EXPOSE: expose,
  FROM: from,
  HEALTHCHECK: healthcheck,
  MAINTAINER: (raw) => {
    const name = onlyWord(raw, "MAINTAINER")
    return { ...plain(raw, "MAINTAINER"), type: "MAINTAINER", name }
  },
  ONBUILD: onbuild,
  RUN: run,
  SHELL: shell,
  STOPSIGNAL: (raw) => ({ ...written(raw), type: "STOPSIGNAL", signal: onlyWord(raw, "STOPSIGNAL") }),
  USER: (raw) => {
    const user = onlyWord(raw, "USER")
    return { ...plain(raw, "USER"), type: "USER", user }
  },
  VOLUME: volume,
  WORKDIR: (raw) => {
    const path = onlyWord(raw, "WORKDIR")
    return { ...plain(raw, "WORKDIR"), type: "WORKDIR", path }
  },
}
