// When an ended container starts again.
import { expect, test } from "bun:test"
import fc from "fast-check"
import type { RestartPolicy } from "../../state/state.ts"
import { restartDelay, startsWithEngine } from "./restart-policy.ts"

const policy = (name: RestartPolicy["name"], maximumRetries = 0): RestartPolicy => ({ name, maximumRetries })
const exit = { code: 1, stoppedByUser: false, restarts: 0, backoff: 0, ran: 5 }

test("who starts again", () => {
  expect(restartDelay(policy("no"), exit)).toBeUndefined()
  expect(restartDelay(policy("always"), { ...exit, code: 0 })).toBe(100)
  expect(restartDelay(policy("unless-stopped"), { ...exit, code: 0 })).toBe(100)
  expect(restartDelay(policy("always"), { ...exit, stoppedByUser: true })).toBeUndefined()
  expect(restartDelay(policy("on-failure"), { ...exit, code: 0 })).toBeUndefined()
  expect(restartDelay(policy("on-failure", 2), { ...exit, restarts: 1 })).toBe(100)
  expect(restartDelay(policy("on-failure", 2), { ...exit, restarts: 2 })).toBeUndefined()
})

test("the wait doubles to a minute and begins anew after a long run", () => {
  const waits: number[] = []
  for (let backoff = 0, count = 0; count < 12; count++) {
    backoff = restartDelay(policy("always"), { ...exit, backoff }) ?? -1
    waits.push(backoff)
  }
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000])
  expect(restartDelay(policy("always"), { ...exit, backoff: 60_000, ran: 10_000 })).toBe(100)
})

test("the wait is never below a tenth of a second nor above a minute", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (backoff, ran) => {
      const delay = restartDelay(policy("always"), { ...exit, backoff, ran })
      expect(delay).toBeGreaterThanOrEqual(100)
      expect(delay).toBeLessThanOrEqual(60_000)
    }),
    { examples: [[0, 0]] },
  )
})

test("what starts with the engine", () => {
  const last = { code: 0, stoppedByUser: true, started: true, restarts: 0 }
  expect(startsWithEngine(policy("always"), last)).toBe(true)
  expect(startsWithEngine(policy("always"), { ...last, started: false })).toBe(false)
  expect(startsWithEngine(policy("unless-stopped"), last)).toBe(false)
  expect(startsWithEngine(policy("unless-stopped"), { ...last, stoppedByUser: false })).toBe(true)
  expect(startsWithEngine(policy("on-failure"), { ...last, code: 1, stoppedByUser: false })).toBe(true)
  expect(startsWithEngine(policy("on-failure"), { ...last, code: 1 })).toBe(false)
  expect(startsWithEngine(policy("no"), last)).toBe(false)
})
