// What is looked up before anything runs, told as a vertex of its own: "[internal] load metadata for …".
import { createHash } from "node:crypto"
import { errorKind, errorMessage } from "../../base/errors.ts"
import type { ReportBuild } from "../progress.ts"

/** Runs it as an internal step of that name. */
export const asVertex = async <T>(name: string, report: ReportBuild, work: () => Promise<T>): Promise<T> => {
  const digest = `sha256:${createHash("sha256").update(name).digest("hex")}`
  const startedAt = Date.now()
  const common = { digest, inputs: [], name, startedAt, cached: false }
  report({ type: "vertex", vertex: { ...common, error: "" } })
  try {
    const result = await work()
    report({ type: "vertex", vertex: { ...common, completedAt: Date.now(), error: "" } })
    return result
  } catch (error) {
    const words = errorKind(error) === "cancelled" ? "context canceled" : errorMessage(error)
    report({ type: "vertex", vertex: { ...common, completedAt: Date.now(), error: words } })
    throw error
  }
}
