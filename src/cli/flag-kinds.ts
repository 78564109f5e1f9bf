// Flags by their kind, for tables of them: name, summary, what the help shows for the value, and the rest.
import type { Flag } from "./flags.ts"

type More = Partial<Flag>

export const bool = (name: string, summary: string, more: More = {}): Flag => ({
  ...{ name, kind: "bool", summary },
  ...more,
})
export const text = (name: string, summary: string, value = "string", more: More = {}): Flag => ({
  ...{ name, kind: "string", summary, value },
  ...more,
})
export const list = (name: string, summary: string, value = "list", more: More = {}): Flag => ({
  ...{ name, kind: "list", summary, value },
  ...more,
})
export const int = (name: string, summary: string, more: More = {}): Flag => ({
  ...{ name, kind: "int", summary, value: "int" },
  ...more,
})
