// What a step changed becomes a layer's tar: the launcher writes and hashes it by a script of headers, files and ranges.
import { failure } from "../../../base/errors.ts"
import { blockSize } from "../../../base/tar-header.ts"
import type { Kernel, Operation } from "../../../kernel/kernel.ts"
import type { LaidEntry, Layout } from "./layout.ts"
import { type MadeLayer, type Reuse, stateBytes, stateWithin } from "./reuse.ts"
import { Script } from "./script.ts"
import type { Source } from "./source.ts"
import { encodeEntry } from "./tar-entry.ts"

const mostRoots = 64

const padding = (bytes: number): number => -bytes & (blockSize - 1)

/** The roots of all files, each once, in the order in which the plan names them. */
const rootsOf = (entries: readonly LaidEntry[]): Map<Source, number> => {
  const roots = new Map<Source, number>()
  for (const { body } of entries)
    if (body?.kind === "file" && !roots.has(body.source)) roots.set(body.source, roots.size)
  if (roots.size > mostRoots)
    throw failure(
      "invalid",
      `one instruction copies from ${roots.size} places; at most ${mostRoots} are possible`,
    )
  return roots
}

async function* scriptOf(
  layout: Layout,
  roots: ReadonlyMap<Source, number>,
  reuse: Reuse | undefined,
): AsyncGenerator<Uint8Array> {
  const script = new Script()
  let [from, length] = [0, 0]
  const endRange = (): void => {
    if (length > 0) script.range(0, from, length)
    length = 0
  }
  const beginning = reuse?.beginning ?? { entries: 0, end: 0 }
  if (beginning.end > 0) script.range(0, 0, beginning.end)
  for (let index = beginning.entries; index < layout.entries.length; index++) {
    const laid = layout.entries[index]
    if (laid === undefined) break
    const at = reuse?.find(laid) ?? -1
    if (at >= 0) {
      if (length === 0) from = at
      else if (from + length !== at) {
        endRange()
        from = at
      }
      length += laid.end - laid.at
      continue
    }
    endRange()
    script.literal(encodeEntry(laid.header))
    if (laid.body?.kind === "file")
      script.file(roots.get(laid.body.source) ?? 0, laid.body.entry, laid.body.size)
    else if (laid.body !== undefined) {
      script.literal(laid.body.bytes)
      script.literal(Buffer.alloc(padding(laid.body.size)))
    }
    yield* script.take()
  }
  endRange()
  script.literal(Buffer.alloc(2 * blockSize))
  script.end()
  yield* script.take()
}

/**
 * Writes the tar of a layout to a new file; what `reuse` knows is taken from an older layer's. Gives its digest and length,
 * whether all files were what they were said to be, and the states of its hash (reuse.ts). Throws the launcher's failure.
 */
export const writeTar = async (
  kernel: Kernel,
  layout: Layout,
  output: string,
  reuse: { readonly layer: MadeLayer; readonly reuse: Reuse } | undefined,
  signal: AbortSignal,
): Promise<{ digest: string; size: number; steady: boolean; states: string }> => {
  const roots = rootsOf(layout.entries)
  const known = reuse && stateWithin(reuse.layer.states, reuse.reuse.beginning.end)
  const plan: Operation[] = [
    ["assemble"],
    ["output", output],
    ...[...roots.keys()].map(({ root }) => root),
    ...(reuse === undefined ? [] : [["file", reuse.layer.path] as const]),
    ...(known === undefined ? [] : [["resume", String(known.bytes), known.state] as const]),
  ]
  const answer = await kernel.send(plan, scriptOf(layout, roots, reuse?.reuse), signal)
  const size = Number(answer.get("size")?.[0] ?? 0)
  if (size !== layout.size)
    throw failure("internal", `a layer has ${size} bytes where ${layout.size} were laid out`)
  const steady = answer.get("changed")?.[0] === "0"
  if (!steady) for (const source of roots.keys()) source.moved()
  const before = known === undefined ? "" : reuse?.layer.states.slice(0, (known.bytes / stateBytes) * 64)
  const states = `${before}${answer.get("states")?.[0] ?? ""}`
  return { digest: `sha256:${answer.get("sha256")?.[0] ?? ""}`, size, steady, states }
}
