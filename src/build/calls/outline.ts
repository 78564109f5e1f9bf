// Answer of `--call=outline`: arguments, secrets and SSH agents that a target uses (BuildKit's frontend.outline).
import type { BuildRequest, CallAnswer } from "../build.ts"
import { describes } from "../dockerfile/descriptions.ts"
import type { Dockerfile, InstructionOf, Place } from "../dockerfile/instructions.ts"
import { readMount } from "../dockerfile/mounts.ts"
import { expandWord } from "../dockerfile/words.ts"
import type { PlannedStage } from "../graph/stage.ts"
import { base64, locationOf, withoutEmpty } from "./location.ts"
import { tableText } from "./table.ts"

interface Argument {
  readonly key: string
  readonly value: string
  readonly description: string
  readonly place: Place
  /** Arguments that its default names. */
  readonly from: readonly string[]
}

interface Mounted {
  readonly id: string
  readonly required: boolean
  readonly place: Place
}

/** What one stage knows and uses. */
interface Uses {
  readonly known: Map<string, Argument>
  readonly used: Set<string>
  readonly secrets: Map<string, Mounted>
  readonly ssh: Map<string, Mounted>
}

export interface Outlined {
  readonly dockerfile: Dockerfile
  readonly source: Uint8Array
  readonly request: Pick<BuildRequest, "buildArgs">
  /** The target, its stages run. */
  readonly target: PlannedStage
  /** Predefined arguments (TARGETPLATFORM …). */
  readonly predefined: ReadonlyMap<string, string>
}

const globalArguments = ({ dockerfile, request, predefined }: Outlined) => {
  const env = new Map(predefined)
  const known = new Map<string, Argument>()
  for (const { args, place, comments } of dockerfile.globalArgs)
    for (const { key, value } of args) {
      const given = request.buildArgs.get(key)
      let from: readonly string[] = []
      let set = given
      if (given === undefined && value !== undefined) {
        const expanded = expandWord(value, (name) => env.get(name), dockerfile.escape)
        set = expanded.text
        from = expanded.matched.flatMap((name) => (name === key ? (known.get(key)?.from ?? []) : [name]))
      }
      if (set !== undefined) env.set(key, set)
      known.set(key, { key, value: set ?? "", description: describes(comments, key), place, from })
    }
  return { env, known }
}

/** Stages of one outline, each looked at once. */
const readStages = (outlined: Outlined) => {
  const { dockerfile, request } = outlined
  const globals = globalArguments(outlined)
  const read = new Map<PlannedStage, Uses>()

  const begin = (stage: PlannedStage): Uses => {
    const base = stage.base === undefined ? undefined : usesOf(stage.base)
    const uses: Uses = {
      known: new Map([...globals.known, ...(base?.known ?? [])]),
      used: new Set(base?.used),
      secrets: new Map(),
      ssh: new Map(),
    }
    for (const word of [stage.from?.image, stage.from?.platform])
      if (word !== undefined)
        for (const name of expandWord(word, (key) => globals.env.get(key), dockerfile.escape).matched)
          uses.used.add(name)
    return uses
  }

  const argument = (uses: Uses, env: Map<string, string>, arg: InstructionOf<"ARG">): void => {
    for (const { key, value } of arg.args) {
      const given = request.buildArgs.get(key)
      const inherited = given === undefined && value === undefined ? globals.env.get(key) : undefined
      const own =
        value === undefined ? undefined : expandWord(value, (name) => env.get(name), dockerfile.escape).text
      const set = given ?? own ?? inherited
      if (set !== undefined) env.set(key, set)
      uses.used.add(key)
      if (inherited !== undefined) continue
      const description = describes(arg.comments, key)
      uses.known.set(key, { key, value: set ?? "", description, place: arg.place, from: [] })
    }
  }

  const mounts = (uses: Uses, env: ReadonlyMap<string, string>, run: InstructionOf<"RUN">): void => {
    const lookup = (name: string) => env.get(name)
    for (const written of run.mounts) {
      const mount = readMount(written, (value) => expandWord(value, lookup, dockerfile.escape).text)
      const { type, source = "", target = "", required = false } = mount
      if (type !== "secret" && type !== "ssh") continue
      const fallback = type === "ssh" ? "default" : (target.split("/").at(-1) ?? "")
      const id = (type === "secret" ? source : "") || mount.id || fallback
      const list = type === "secret" ? uses.secrets : uses.ssh
      if (!list.has(id)) list.set(id, { id, required, place: run.place })
    }
  }

  const usesOf = (stage: PlannedStage): Uses => {
    const done = read.get(stage)
    if (done !== undefined) return done
    const uses = begin(stage)
    read.set(stage, uses)
    const env = new Map(stage.base?.end?.env ?? stage.begin?.env)
    for (const { instruction } of stage.instructions) {
      if (instruction.type === "ARG") argument(uses, env, instruction)
      else if (instruction.type === "RUN") mounts(uses, env, instruction)
      else if (instruction.type === "ENV") {
        const expand = (word: string) => expandWord(word, (name) => env.get(name), dockerfile.escape).text
        const set = instruction.pairs.map(({ key, value }) => [expand(key), expand(value)] as const)
        for (const [key, value] of set) env.set(key, value)
      }
    }
    return uses
  }
  return usesOf
}

/** A stage, then what it is FROM, then what it takes files from. */
const inOrder = (target: PlannedStage): readonly PlannedStage[] => {
  const order = new Set<PlannedStage>()
  const visit = (stage: PlannedStage): void => {
    if (order.has(stage)) return
    order.add(stage)
    if (stage.base !== undefined) visit(stage.base)
    for (const other of stage.needs.keys()) visit(other)
  }
  visit(target)
  return [...order]
}

const withOrigins = ({ known, used }: Uses): readonly Argument[] => {
  const found = new Set<string>()
  const visit = (name: string): void => {
    if (found.has(name)) return
    found.add(name)
    for (const origin of known.get(name)?.from ?? []) visit(origin)
  }
  for (const name of used) visit(name)
  return [...found].map((name) => known.get(name)).filter((argument) => argument !== undefined)
}

const collect = (outlined: Outlined) => {
  const usesOf = readStages(outlined)
  const args = new Map<string, Argument>()
  const secrets = new Map<string, Mounted>()
  const ssh = new Map<string, Mounted>()
  for (const stage of inOrder(outlined.target)) {
    const uses = usesOf(stage)
    for (const argument of withOrigins(uses)) if (!args.has(argument.key)) args.set(argument.key, argument)
    for (const [id, secret] of uses.secrets) if (!secrets.has(id)) secrets.set(id, secret)
    for (const [id, agent] of uses.ssh) if (!ssh.has(id)) ssh.set(id, agent)
  }
  const byPlace = <T extends { readonly place: Place }>(list: Map<string, T>) =>
    [...list.values()].sort((a, b) => a.place.first - b.place.first)
  return { args: byPlace(args), secrets: byPlace(secrets), ssh: byPlace(ssh) }
}

const mountedJson = ({ id, required, place }: Mounted) => ({
  name: id,
  ...(required ? { required } : {}),
  location: locationOf(place),
})

const mountedRows = (list: readonly Mounted[]) => list.map(({ id, required }) => [id, required ? "true" : ""])

export const outlineAnswer = (outlined: Outlined): CallAnswer => {
  const { name, from } = outlined.target
  const description = describes(from?.comments ?? [], name)
  const { args, secrets, ssh } = collect(outlined)
  const section = (head: readonly string[], rows: readonly (readonly string[])[], blanks: number): string =>
    rows.length === 0 ? "" : `${tableText(head.length === 0 ? rows : [head, ...rows], blanks)}\n`
  const about = [
    ["TARGET:", name || "(default)"],
    ...(description === "" ? [] : [["DESCRIPTION:", description]]),
  ]
  const argRows = args.map(({ key, value, description: text }) => [key, value, text])
  const text =
    section([], name === "" && description === "" ? [] : about, 1) +
    section(["BUILD ARG", "VALUE", "DESCRIPTION"], argRows, 3) +
    section(["SECRET", "REQUIRED"], mountedRows(secrets), 3) +
    section(["SSH", "REQUIRED"], mountedRows(ssh), 3)
  return {
    text,
    shown: text,
    json: withoutEmpty({
      name,
      description,
      args: args.map(({ key, value, description: about, place }) => ({
        name: key,
        ...withoutEmpty({ description: about, value }),
        location: locationOf(place),
      })),
      secrets: secrets.map(mountedJson),
      ssh: ssh.map(mountedJson),
      sources: [base64(outlined.source)],
    }),
    statusCode: 0,
  }
}
