// The live view of `sloop top`: every container with its state, its use of the machine and its busiest processes.
import { alignTabs } from "../format/list.ts"

/** A container as one moment of the view shows it. */
export interface Moment {
  readonly name: string
  readonly state: string
  readonly status: string
  /** Undefined where it does not run. */
  readonly use?: { readonly cpu: string; readonly memory: string; readonly pids: string }
  readonly processes?: { readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] }
}

export interface Paint {
  readonly bold: (text: string) => string
  readonly faint: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
}

const plainPaint: Paint = { bold: (t) => t, faint: (t) => t, good: (t) => t, bad: (t) => t }
const coloured = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
const colours: Paint = { bold: coloured(1), faint: coloured(2), good: coloured(32), bad: coloured(31) }

/** Colours only on a terminal, and only where NO_COLOR does not forbid them. */
export const paintFor = (isTTY: boolean, env: Readonly<Record<string, string | undefined>>): Paint =>
  isTTY && !env.NO_COLOR && env.TERM !== "dumb" ? colours : plainPaint

const cut = (line: string, columns: number): string =>
  columns > 0 && [...line].length > columns ? `${[...line].slice(0, columns - 1).join("")}…` : line

const percent = (moment: Moment): number => Number.parseFloat(moment.use?.cpu ?? "-1")

const stateWords = (moments: readonly Moment[]): string => {
  const counts = new Map<string, number>()
  for (const { state } of moments) counts.set(state, (counts.get(state) ?? 0) + 1)
  return [...counts].map(([state, count]) => `${count} ${state}`).join(", ")
}

/**
 * Lines of the view, busiest containers first. `rows` and `columns` are the terminal's (0: no limit);
 * `each` is how many processes a container shows at most.
 */
export function liveLines(
  moments: readonly Moment[],
  view: { rows: number; columns: number; each: number; clock: string; paint: Paint },
): string[] {
  const { paint, columns } = view
  const noun = moments.length === 1 ? "container" : "containers"
  const title = `${view.clock}  ${moments.length} ${noun}${moments.length > 0 ? `: ${stateWords(moments)}` : ""}`
  const sorted = [...moments].sort((a, b) => percent(b) - percent(a) || (a.name < b.name ? -1 : 1))
  const table = alignTabs(
    [
      ["NAME", "STATE", "CPU %", "MEM USAGE / LIMIT", "PIDS", "STATUS"],
      ...sorted.map(({ name, state, status, use }) => [
        name,
        state,
        use?.cpu ?? "-",
        use?.memory ?? "-",
        use?.pids ?? "-",
        status,
      ]),
    ].map((row) => row.join("\t")),
  )
  const lines = [paint.bold(cut(title, columns)), "", paint.bold(cut(table[0] ?? "", columns))]
  for (const [at, moment] of sorted.entries()) {
    const line = cut(table[at + 1] ?? "", columns)
    const runs = moment.state === "running"
    lines.push(runs && !/unhealthy/.test(moment.status) ? paint.good(line) : paint.bad(line))
    const { titles = [], rows = [] } = moment.processes ?? {}
    if (rows.length === 0 || view.each === 0) continue
    const shown = rows.slice(0, view.each).map((row) => row.join("\t"))
    for (const process of alignTabs([titles.join("\t"), ...shown], 6))
      lines.push(paint.faint(cut(`    ${process}`, columns)))
    if (rows.length > view.each) lines.push(paint.faint(`    … ${rows.length - view.each} more`))
  }
  return view.rows > 0 ? lines.slice(0, view.rows - 1) : lines
}
