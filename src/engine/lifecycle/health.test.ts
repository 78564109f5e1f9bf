// How probe results change the health.
import { expect, test } from "bun:test"
import type { HealthState } from "../../state/state.ts"
import { healthSettings, nextHealth } from "./health.ts"

const settings = { ...healthSettings({}), startPeriod: 1000, retries: 2 }
const result = (exitCode: number, start: number) => ({ start, end: start + 1, exitCode, output: "" })
const starting: HealthState = { status: "starting", failingStreak: 0, log: [] }

test("failures in the start period do not count, later ones do", () => {
  const early = nextHealth(starting, result(1, 500), settings, 0)
  expect(early).toMatchObject({ status: "starting", failingStreak: 0 })
  const first = nextHealth(early, result(1, 2000), settings, 0)
  expect(first).toMatchObject({ status: "starting", failingStreak: 1 })
  expect(nextHealth(first, result(1, 3000), settings, 0)).toMatchObject({
    status: "unhealthy",
    failingStreak: 2,
  })
})

test("a success heals at once, and the log keeps the last five", () => {
  let state = starting
  for (let at = 0; at < 9; at++) state = nextHealth(state, result(1, 5000 + at), settings, 0)
  expect(state.log.length).toBe(5)
  expect(nextHealth(state, result(0, 9000), settings, 0)).toMatchObject({
    status: "healthy",
    failingStreak: 0,
  })
})

test("a healthy container's first failure in the start period counts", () => {
  const healthy: HealthState = { status: "healthy", failingStreak: 0, log: [] }
  expect(nextHealth(healthy, result(1, 10), settings, 0)).toMatchObject({
    status: "healthy",
    failingStreak: 1,
  })
})
