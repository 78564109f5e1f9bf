// --chmod: octal numbers, and chmod's symbolic modes ("u=rwX,go-w"), with no umask.
import { failure } from "../../../base/errors.ts"

const shifts = { u: 6, g: 3, o: 0 } as const
type Who = keyof typeof shifts

interface Change {
  readonly who: readonly Who[]
  readonly operator: "+" | "-" | "="
  readonly what: string
}

const parse = (text: string): Change[] => {
  const changes: Change[] = []
  for (const clause of text.split(",")) {
    const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause)
    if (match === null)
      throw failure(
        "invalid",
        `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777, or a symbolic mode`,
      )
    const [, named = "", rest = ""] = match
    const who: Who[] =
      named === "" || named.includes("a")
        ? ["u", "g", "o"]
        : (["u", "g", "o"] as const).filter((one) => named.includes(one))
    for (const [, operator = "", what = ""] of rest.matchAll(/([-+=])([rwxXst]*|[ugo])/g))
      changes.push({ who, operator: operator as Change["operator"], what })
  }
  return changes
}

/** Bits that a change is about, for one of user, group and others. */
const bitsFor = (mode: number, who: Who, what: string, isDirectory: boolean): number => {
  const shift = shifts[who]
  if (what === "u" || what === "g" || what === "o") return ((mode >> shifts[what]) & 7) << shift
  let bits = 0
  if (what.includes("r")) bits |= 4 << shift
  if (what.includes("w")) bits |= 2 << shift
  const anyone = isDirectory || (mode & 0o111) !== 0
  if (what.includes("x") || (what.includes("X") && anyone)) bits |= 1 << shift
  if (what.includes("s") && who === "u") bits |= 0o4000
  if (what.includes("s") && who === "g") bits |= 0o2000
  if (what.includes("t")) bits |= 0o1000
  return bits
}

const apply = (mode: number, change: Change, isDirectory: boolean): number => {
  let bits = 0
  let cleared = 0
  for (const who of change.who) {
    bits |= bitsFor(mode, who, change.what, isDirectory)
    cleared |= (7 << shifts[who]) | (who === "u" ? 0o4000 : who === "g" ? 0o2000 : 0)
  }
  if (change.operator === "+") return mode | bits
  if (change.operator === "-") return mode & ~bits
  return (mode & ~cleared) | bits
}

/** What becomes of permissions (12 bits). Throws Failure "invalid" for a malformed mode. */
export const modeChange = (
  wanted: number | string | undefined,
): ((mode: number, isDirectory: boolean) => number) => {
  if (wanted === undefined) return (mode) => mode
  if (typeof wanted === "number") return () => wanted & 0o7777
  const changes = parse(wanted)
  return (mode, isDirectory) => changes.reduce((now, change) => apply(now, change, isDirectory), mode)
}
