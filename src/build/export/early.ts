// The checks of exports for faces, loaded with the first build: an idle engine stays small.
import type { ExportOptions } from "../build.ts"

/** Throws, before anything is built, what the exports would throw whatever is built. */
export const checkExports = async (
  options: Pick<ExportOptions, "exports" | "cacheTo" | "attestations">,
): Promise<void> => (await import("./check.ts")).checkExports(options)
