// The bus: listeners, the ring, times that only rise.
import { expect, test } from "bun:test"
import { setLogLevel } from "../base/log.ts"
import { createEvents, type EngineEvent } from "./events.ts"

const event = (action: string) => ({ type: "container", action, id: "c", attributes: {} }) as const

test("listeners hear each event at once, until they leave", () => {
  const events = createEvents()
  const heard: string[] = []
  const leave = events.subscribe((one) => heard.push(one.action))
  events.publish(event("create"))
  leave()
  events.publish(event("start"))
  expect(heard).toEqual(["create"])
})

test("the ring keeps the last thousand in order, with times that only rise", () => {
  const events = createEvents()
  for (let index = 0; index < 1500; index++) events.publish(event(`${index}`))
  const recent = events.recent()
  expect(recent.length).toBe(1000)
  expect(recent[0]?.action).toBe("500")
  expect(recent.at(-1)?.action).toBe("1499")
  for (let index = 1; index < recent.length; index++) {
    const [before, after] = [recent[index - 1] as EngineEvent, recent[index] as EngineEvent]
    expect(after.timeNano > before.timeNano).toBe(true)
  }
})

test("a listener that fails harms nobody", () => {
  setLogLevel("silent")
  const events = createEvents()
  let heard = 0
  events.subscribe(() => {
    throw new Error("broken")
  })
  events.subscribe(() => heard++)
  events.publish(event("create"))
  expect(heard).toBe(1)
  setLogLevel("info")
})
