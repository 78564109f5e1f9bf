// Steps on a real kernel: what they see, what they leave, and how they end.
import { afterAll, expect, test } from "bun:test"
import { openStepGround } from "../testing/ground.ts"

const ground = await openStepGround({ networks: true })
afterAll(() => ground.close())

test("a step's files become a layer, its output log events in order", async () => {
  const { tree, events, output } = await ground.sh("echo one; echo two >&2; echo text > /made; rm /etc/group")
  expect(output).toBe("one\ntwo\n")
  expect(events.every((event) => event.type === "log" && event.vertex === "sha256:step")).toBe(true)
  expect(tree.layers.length).toBe(ground.base.layers.length + 1)
  const layer = await ground.layer(tree)
  expect([...layer.keys()].toSorted()).toEqual(["etc/", "etc/.wh.group", "made"])
  expect(layer.get("made")?.text).toBe("text\n")
  const next = await ground.sh("cat /made", { root: tree })
  expect(next.output).toBe("text\n")
})
