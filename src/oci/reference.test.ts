// References: Docker's normal form, familiar form and refusals.
import { expect, test } from "bun:test"
import fc from "fast-check"
import {
  familiarName,
  familiarReference,
  formatReference,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from "./reference.ts"

const hex = "a".repeat(64)

test.each([
  ["busybox", "docker.io/library/busybox", "busybox"],
  ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"],
  ["user/app", "docker.io/user/app", "user/app"],
  ["docker.io/library/busybox", "docker.io/library/busybox", "busybox"],
  ["index.docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x"],
  ["docker.io/busybox", "docker.io/library/busybox", "busybox"],
  ["localhost/app", "localhost/app", "localhost/app"],
  ["localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"],
  ["example.com/a/b/c:Tag_1.x-y", "example.com/a/b/c:Tag_1.x-y", "example.com/a/b/c:Tag_1.x-y"],
  ["[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"],
  ["EXAMPLE/app", "EXAMPLE/app", "EXAMPLE/app"],
  ["a--b__c/e.f", "docker.io/a--b__c/e.f", "a--b__c/e.f"],
  [`busybox@sha256:${hex}`, `docker.io/library/busybox@sha256:${hex}`, `busybox@sha256:${hex}`],
  [`busybox:1@sha256:${hex}`, `docker.io/library/busybox:1@sha256:${hex}`, `busybox:1@sha256:${hex}`],
])("%s", (text, full, familiar) => {
  const reference = parseReference(text)
  expect(formatReference(reference)).toBe(full)
  expect(familiarReference(reference)).toBe(familiar)
})

test.each([
  ["", "invalid reference format"],
  [":x", "invalid reference format"],
  ["a b", "invalid reference format"],
  ["a:", "invalid reference format"],
  ["a:b:c", "invalid reference format"],
  ["/a", "invalid reference format"],
  ["a/", "invalid reference format"],
  ["a//b", "invalid reference format"],
  ["../x", "invalid reference format"],
  ["-a", "invalid reference format"],
  ["a@sha256:abc", "invalid reference format"],
  [`a@sha512:${hex}`, "invalid reference format"],
  [`a:${"t".repeat(129)}`, "invalid reference format"],
  ["a\n", "invalid reference format"],
  ["Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"],
  ["user/App:1", "invalid reference format: repository name (user/App) must be lowercase"],
  [hex, `invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`],
  ["a".repeat(256), "repository name must not be more than 255 characters"],
])("refuses %p", (text, message) => {
  expect(() => parseReference(text)).toThrow(message)
})

test("parts", () => {
  const reference = withDefaultTag(parseReference("busybox"))
  expect(familiarReference(reference)).toBe("busybox:latest")
  expect(familiarName(reference)).toBe("busybox")
  expect(repositoryOf(reference)).toBe("docker.io/library/busybox")
  expect(withDefaultTag(parseReference(`b@sha256:${hex}`)).tag).toBeUndefined()
})

test("whatever is accepted reads the same again, in both forms", () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,5}([._-][a-z0-9]{1,4})?$/)
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 4 }),
      fc.option(part, { nil: undefined }),
      (path, tag) => {
        const reference = parseReference(path.join("/") + (tag === undefined ? "" : `:${tag}`))
        expect(parseReference(formatReference(reference))).toEqual(reference)
        expect(parseReference(familiarReference(reference))).toEqual(reference)
      },
    ),
  )
})

test("no text is slow or breaks", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      try {
        parseReference(text)
      } catch (error) {
        expect(error).toMatchObject({ kind: "invalid" })
      }
    }),
  )
  const started = performance.now()
  expect(() => parseReference(`${"a-".repeat(500)}`)).toThrow()
  expect(() => parseReference(`${"a.b/".repeat(250)}`)).toThrow()
  expect(performance.now() - started).toBeLessThan(200)
})
