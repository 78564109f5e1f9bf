// A test that says which of the docker client's verbs and flags it proves; docs/compatibility.md is made of these.
import { test } from "bun:test"

/** Registers a test. `proves` holds words such as "run --env" or "pause", as compatibility.test.ts reads them. */
export const proof = (
  _proves: readonly string[],
  title: string,
  body: () => Promise<void>,
  milliseconds = 30_000,
): void => {
  test(title, body, milliseconds)
}
