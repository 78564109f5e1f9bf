// The transition table, whole.
import { expect, test } from "bun:test"
import { errorKind } from "../../base/errors.ts"
import type { Status } from "../../state/state.ts"
import { isActive, permit, refusal, type Verb } from "./transitions.ts"

const statuses: readonly Status[] = [
  "created",
  "running",
  "paused",
  "restarting",
  "removing",
  "exited",
  "dead",
]
const legal: Readonly<Record<Verb, readonly Status[]>> = {
  start: ["created", "exited"],
  stop: ["running", "paused", "restarting"],
  kill: ["running", "paused", "restarting"],
  pause: ["running"],
  unpause: ["paused"],
  exec: ["running"],
  remove: ["created", "exited", "dead"],
  attach: ["created", "running", "exited", "dead"],
  resize: ["running", "paused"],
}

test("the whole table: which verb is legal in which state", () => {
  for (const [verb, states] of Object.entries(legal) as [Verb, readonly Status[]][]) {
    const found = statuses.filter((status) => refusal(verb, { status, id: "i", name: "n" }) === undefined)
    expect(found.toSorted()).toEqual(states.toSorted())
  }
})

test("refusals have Docker's kinds and words", () => {
  const web = (status: Status) => ({ status, id: "abc", name: "web" })
  expect(errorKind(refusal("start", web("running")))).toBe("not-modified")
  expect(errorKind(refusal("stop", web("exited")))).toBe("not-modified")
  expect(() => permit("kill", web("exited"))).toThrow(
    "cannot kill container: web: container abc is not running",
  )
  expect(() => permit("start", web("paused"))).toThrow("cannot start a paused container, try unpause instead")
})

test("active states", () => {
  expect(statuses.filter(isActive)).toEqual(["running", "paused", "restarting"])
})
