// Binds of any text.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { Failure } from "../../base/errors.ts"
import { parseBind } from "./mounts.ts"

test("any bind text is a mount with a clean absolute target, or one clear refusal", () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom("/a", "/", "..", "name", "ro", "z", "", ":", "/a/../..", "/a//b/"),
  )
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), (pieces) => {
      try {
        const mount = parseBind(pieces.join(":"))
        expect(mount.target).toMatch(/^\/./)
        expect(mount.target.split("/")).not.toContain("..")
        if (mount.type === "bind") expect(mount.source).toMatch(/^\//)
        else if (mount.source !== undefined) expect(mount.source).toMatch(/^[a-zA-Z0-9][\w.-]*$/)
      } catch (error) {
        expect(error).toBeInstanceOf(Failure)
        expect((error as Failure).kind).toBe("invalid")
      }
    }),
    { numRuns: 2000 },
  )
})

test("a path alone is an anonymous volume", () => {
  expect(parseBind("/data")).toMatchObject({ type: "volume", target: "/data", origin: "volumes" })
  expect(parseBind("/data").source).toBeUndefined()
})
