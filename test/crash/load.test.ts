// The daemon is killed at random while eight clients run containers: whatever it was doing, the next one is whole.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Crashing, startCrashing } from "./crashing.ts"

let ground: Crashing
beforeAll(async () => {
  ground = await startCrashing()
}, 60_000)
afterAll(() => ground.engine.close(), 60_000)

const seconds = 16
/** A machine that is busy otherwise gets more time for as many deaths. */
const leastKills = 6
const longest = 60

test(`kill -9 at random for ${seconds} s under load: containers run on, nothing leaks, nothing is half there`, async () => {
  const { engine } = ground
  const begin = Date.now()
  let kills = 0
  const goesOn = (): boolean => {
    const past = (Date.now() - begin) / 1000
    return past < seconds || (kills < leastKills && past < longest)
  }
  let runs = 0
  let interrupted = 0
  const kept = new Map<string, string>()
  const client = async (number: number) => {
    for (let round = 0; goesOn(); round++) {
      const name = `c-${number}-${round}`
      const words = {
        0: ["run", "--rm", "--name", name, "busybox", "true"],
        1: ["run", "-d", "--name", name, "-v", "/data", "busybox", "sleep", "1000"],
        2: ["run", "--name", name, "--network", "none", "-v", "/data", "busybox", "sh", "-c", "exit 3"],
        3: ["exec", "bystander", "true"],
      }[round % 4]
      const result = await engine.dockerWith({ timeout: 15_000 }, ...(words ?? []))
      runs++
      if (result.code === 0 || result.code === 3) {
        if (round % 4 === 1) kept.set(name, result.stdout.trim())
      } else {
        interrupted++
        // The sentence of a client that lost its daemon, not of an engine that lost its mind.
        expect(result.stderr).not.toMatch(/internal|undefined|\.ts:|killed by the test/)
        await Bun.sleep(30)
      }
      // Some go again, so that removals are interrupted, too.
      if (round % 4 === 2) {
        const old = [...kept.keys()][0]
        if (old !== undefined && kept.size > 6) {
          kept.delete(old)
          await engine.dockerWith({ timeout: 15_000 }, "rm", "-fv", old)
        }
      }
    }
  }
  const killer = async () => {
    while (goesOn()) {
      await Bun.sleep(100 + Math.random() * 900)
      await engine.kill9()
      await engine.start()
      kills++
    }
  }
  await Promise.all([killer(), ...Array.from({ length: 8 }, (_, number) => client(number))])
  expect(kills).toBeGreaterThanOrEqual(leastKills)
  expect(runs - interrupted).toBeGreaterThan(10)
  await ground.bystanderLives()
  // What was reported as running runs, under its id.
  for (const [name, id] of kept) {
    expect([name, await ground.stateOf(name)]).toEqual([name, "running"])
    expect(await engine.ok("inspect", "-f", "{{.Id}}", name)).toBe(id)
  }
  await ground.expectWhole()
  await engine.restart()
  await ground.expectWhole()
  const others = (await engine.ok("ps", "-aq", "--filter", "name=c-")).split("\n").filter(Boolean)
  if (others.length > 0) await engine.ok("rm", "-fv", ...others)
  await ground.expectWhole()
  expect(await engine.ok("run", "--rm", "busybox", "echo", "well")).toBe("well")
}, 180_000)
