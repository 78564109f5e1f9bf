// The settings are the runtime's own names: others would be ignored without a word.
import { expect, test } from "bun:test"
import { LEAN_SETTINGS } from "./lean-settings.ts"

test("each setting is one of the runtime's, as text", () => {
  for (const [name, value] of Object.entries(LEAN_SETTINGS))
    expect(`${name}=${value}`).toMatch(/^BUN_JSC_\w+=\d+(\.\d+)?$/)
})
