import { expect, test } from "bun:test"
import * as v from "valibot"
import { foldKeys } from "./fold-keys.ts"
import { createRequestSchema } from "./wire.ts"

const inner = v.object({ Tty: v.nullish(v.boolean(), false) })
const schema = v.object({
  DetachKeys: v.nullish(v.string(), ""),
  One: v.pipe(
    v.nullish(inner),
    v.transform((value) => value ?? undefined),
  ),
  Many: v.nullish(v.array(inner), []),
  ByName: v.nullish(v.record(v.string(), inner), {}),
})

test("fields are found in any case, at every depth", () => {
  const given = {
    detachKeys: "ctrl-p",
    one: { TTY: true },
    MANY: [{ tty: true }],
    byname: { anyName: { tTy: true } },
  }
  expect(v.parse(schema, foldKeys(schema, given))).toEqual({
    DetachKeys: "ctrl-p",
    One: { Tty: true },
    Many: [{ Tty: true }],
    ByName: { anyName: { Tty: true } },
  })
})

test("a field written as it is named wins, and unknown ones stay", () => {
  expect(foldKeys(schema, { detachkeys: "a", DetachKeys: "b", other: 1 })).toEqual({
    detachkeys: "a",
    DetachKeys: "b",
    other: 1,
  })
})

test("a create request is read so, and keys of maps are left alone", () => {
  const parsed = v.parse(
    createRequestSchema,
    foldKeys(createRequestSchema, { image: "x", labels: { Image: "y" }, hostconfig: { privileged: true } }),
  )
  expect([parsed.Image, parsed.Labels, parsed.HostConfig?.Privileged]).toEqual(["x", { Image: "y" }, true])
})
