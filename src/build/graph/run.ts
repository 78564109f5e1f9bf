// RUN: the command with its shell, here-documents, mounts and what it may do.

import { readHeredocWord } from "../dockerfile/heredocs.ts"
import type { InstructionOf } from "../dockerfile/instructions.ts"
import { readMount } from "../dockerfile/mounts.ts"
import { quoted } from "../dockerfile/quoted.ts"
import { BuildFailure } from "../failure.ts"
import { isProxyArgument } from "./arguments.ts"
import { environmentLines, withVariable } from "./environment.ts"
import type { ExecMount, ExecNode } from "./graph.ts"
import { argumentsSeen, commandWithArguments, shellOf } from "./history-texts.ts"
import { execMounts } from "./mounts.ts"
import { heredocSummary, stepName } from "./naming.ts"
import { wholeTree } from "./source-tree.ts"
import type { PlannedInstruction, PlannedStage, StageState } from "./stage.ts"
import { expandIn, type Surroundings, shownWords } from "./surroundings.ts"

type Run = InstructionOf<"RUN">

interface Command {
  readonly argv: readonly string[]
  /** A script that the command is, to be mounted. */
  readonly mount?: ExecMount
  /** Added to the name: " (first line...)". */
  readonly note: string
}

const scriptDirectory = "/dev/pipes"

const heredocCommand = (around: Surroundings, state: StageState, run: Run): Command => {
  const shell = shellOf(state.config)
  const [line = ""] = run.command.words
  const [first] = run.heredocs
  if (run.command.form === "exec" || run.command.words.length !== 1 || first === undefined)
    throw new BuildFailure(
      "invalid",
      `parsing produced an invalid run command: ${run.command.words.join(" ")}`,
      {},
    )
  if (readHeredocWord(line) === undefined) {
    // The shell reads them itself.
    const documents = run.heredocs.map(({ raw, name }) => `\n${raw}${name}`)
    return { argv: [...shell, line + documents.join("")], note: "" }
  }
  const note = ` (${heredocSummary(first.raw)})`
  if (!first.raw.startsWith("#!")) return { argv: [...shell, first.content], note }
  const script = around.nodes.make<"file">({
    type: "file",
    root: "scratch",
    independent: false,
    name: "[internal] preparing inline document",
    platform: state.platform,
    place: run.place,
    fresh: false,
    actions: [
      {
        type: "file",
        path: `/${first.name}`,
        content: new TextEncoder().encode(first.content),
        owner: "0:0",
        mode: 0o755,
      },
    ],
  })
  const mount: ExecMount = {
    type: "bind",
    input: script,
    source: "/",
    target: scriptDirectory,
    readOnly: true,
  }
  return { argv: [...shell, `${scriptDirectory}/${first.name}`], mount, note }
}

const commandOf = (around: Surroundings, state: StageState, run: Run): Command => {
  if (run.heredocs.length > 0) return heredocCommand(around, state, run)
  const { form, words } = run.command
  return { argv: form === "exec" ? words : [...shellOf(state.config), words.join(" ")], note: "" }
}

const networkOf = (around: Surroundings, run: Run): ExecNode["network"] => {
  if (run.network !== "default") return run.network
  const { network } = around.request
  return network === "none" || network === "host" ? network : "default"
}

/** One gate for all: what needs an entitlement is refused before anything runs. */
const requireEntitlements = (around: Surroundings, run: Run, network: ExecNode["network"]): void => {
  const { entitlements, face } = around.request
  const refuse = (entitlement: string) => {
    if (!entitlements.includes(entitlement))
      throw new BuildFailure("forbidden", `failed to load LLB: ${entitlement} is not allowed`, {})
  }
  if (run.security === "insecure") refuse("security.insecure")
  // Who asks the classic face for the host's network asks for all steps at once, and is the engine's owner.
  if (network === "host" && (face !== "classic" || run.network === "host")) refuse("network.host")
}

/** What of the request changes the result of any command. */
const requestFacts = ({ request }: Surroundings): readonly string[] => [
  `network=${["", "default", "none", "host"].includes(request.network) ? "" : request.network}`,
  `shm=${request.shmSize}`,
  ...request.ulimits.map((limit) => `ulimit=${JSON.stringify(limit)}`).toSorted(),
]

const stepEnv = (state: StageState, mounts: readonly ExecMount[]): string[] => {
  const agent = mounts.find((mount) => mount.type === "ssh")
  if (agent === undefined || state.env.has("SSH_AUTH_SOCK")) return environmentLines(state.env)
  return environmentLines(withVariable(state.env, "SSH_AUTH_SOCK", agent.target))
}

const runName = (
  around: Surroundings,
  stage: PlannedStage,
  state: StageState,
  { onBuild }: PlannedInstruction,
  words: string,
  mounts: readonly ExecMount[],
): string => {
  const secrets = new Set(mounts.flatMap((mount) => (mount.type === "secret" ? [mount.env ?? ""] : [])))
  const lookup = (name: string) => (secrets.has(name) ? "****" : state.env.get(name))
  const shown = shownWords(around, words, lookup, { rawQuotes: true, keepUnset: true })
  return stepName(stage, shown, onBuild, state.env, around.several ? state.platform : undefined)
}

/** Arguments with a value, sorted; "|0" when there are none but proxies. */
const classicCommand = (around: Surroundings, state: StageState, argv: readonly string[]): string => {
  const withValue = state.args.filter(({ key, value }) => value !== undefined && !isProxyArgument(key))
  const seen = argumentsSeen(withValue, state.env).toSorted()
  if (seen.length === 0 && around.proxyEnv.length > 0) return ["|0", ...argv].join(" ")
  return commandWithArguments(argv, seen)
}

export const applyRun = (
  around: Surroundings,
  stage: PlannedStage,
  state: StageState,
  planned: PlannedInstruction,
  run: Run,
): StageState => {
  const written = run.mounts.map((mount) =>
    readMount(mount, (value) => expandIn(around, state, value, run.place)),
  )
  const { argv, mount, note } = commandOf(around, state, run)
  const mounts = [
    ...(mount === undefined ? [] : [mount]),
    ...execMounts(around, state, written, planned.sources),
  ]
  const network = networkOf(around, run)
  requireEntitlements(around, run, network)
  const device = run.devices.find(({ required }) => required)
  if (device !== undefined)
    throw new BuildFailure(
      "not-implemented",
      `this engine gives builds no devices, but ${quoted(device.name)} is required`,
      {},
    )
  const seen = argumentsSeen(state.args, state.env)
  const node = around.nodes.make<"exec">(
    {
      type: "exec",
      root: wholeTree(around, state.root),
      argv,
      env: stepEnv(state, mounts),
      proxyEnv: around.proxyEnv,
      user: state.config.user,
      workingDirectory: state.directory,
      mounts,
      network,
      security: run.security,
      hostname: around.request.buildArgs.get("BUILDKIT_SANDBOX_HOSTNAME") ?? "",
      extraHosts: around.request.extraHosts,
      commandText: argv.join(" "),
      argumentsSeen: seen,
      name: runName(around, stage, state, planned, run.original + note, mounts),
      platform: state.platform,
      place: run.place,
      fresh: stage.fresh,
    },
    requestFacts(around),
  )
  const step = {
    createdBy: `RUN ${commandWithArguments(argv, seen)} # buildkit`,
    classicCreatedBy: classicCommand(around, state, argv),
    original: run.original,
    node,
    config: state.config,
  }
  return { ...state, root: node, steps: [...state.steps, step] }
}
