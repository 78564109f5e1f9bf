// What is remembered of builds: the last hundred that ended, all that run, and nothing twice.
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openState } from "../state/state.ts"
import type { BuildHistory } from "./build.ts"
import { openHistory } from "./history.ts"

const directory = mkdtempSync(join(tmpdir(), "history-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const recordOf = (id: string, endedAt: number): BuildHistory => ({
  ...{ id, startedAt: 1, endedAt, target: "", error: "", dockerfilePath: "Dockerfile", context: "" },
  ...{ imageId: "", steps: 0, cachedSteps: 0, attributes: {} },
})

test("the oldest that ended are forgotten, and whoever listens is told", () => {
  const state = openState(join(directory, "state.db"))
  const history = openHistory(state)
  const told: string[] = []
  const stop = history.listen(({ kind, record }) => told.push(`${kind} ${record.id}`))
  history.begin(recordOf("runs", 0))
  for (let at = 0; at < 103; at++) {
    history.begin(recordOf(String(at), 0))
    history.complete(recordOf(String(at), 2))
  }
  expect(history.list().length).toBe(101)
  expect(history.find("2")).toBeUndefined()
  expect(history.find("3")?.endedAt).toBe(2)
  expect(told.filter((line) => line.startsWith("deleted"))).toEqual(["deleted 0", "deleted 1", "deleted 2"])
  // One that runs is not forgotten, nor one that there never was.
  for (const id of ["runs", "never"]) history.forget(id)
  expect(history.find("runs")?.endedAt).toBe(0)
  stop()
  history.forget("50")
  expect([history.find("50"), told.at(-1)]).toEqual([undefined, "deleted 2"])
  state.close()
})
