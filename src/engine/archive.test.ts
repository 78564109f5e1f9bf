// Which changes of a layer are the container's own.
import { expect, test } from "bun:test"
import { withoutStubs } from "./archive.ts"

test("what a start makes to mount over is no change of the container", () => {
  expect(
    withoutStubs([
      { kind: 0, path: "/etc" },
      { kind: 1, path: "/etc/hosts" },
      { kind: 1, path: "/etc/resolv.conf" },
      { kind: 1, path: "/data" },
    ]),
  ).toEqual([{ kind: 1, path: "/data" }])
  const mine = [
    { kind: 0, path: "/etc" },
    { kind: 1, path: "/etc/mine" },
  ] as const
  expect(withoutStubs([...mine, { kind: 1, path: "/etc/hosts" }])).toEqual([...mine])
  expect(withoutStubs([{ kind: 0, path: "/etc" }])).toEqual([{ kind: 0, path: "/etc" }])
})
