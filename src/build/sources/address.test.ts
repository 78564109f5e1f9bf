import { expect, test } from "bun:test"
import { gitAddress, isHttpAddress } from "./address.ts"

test("knows Git addresses from others", () => {
  const git = [
    "https://x.example/a.git",
    "http://x/a.git#b",
    "git://x/y",
    "ssh://git@x/y",
    "git@x.example:a/b",
    "github.com/a/b",
  ]
  const others = [
    "https://x.example/a",
    "./a.git",
    "../b",
    "a.git",
    "/x",
    "file:///x.git",
    "ext::sh",
    "a:b",
    "x@y",
    "",
    "https://",
  ]
  expect(git.filter((text) => gitAddress(text) === undefined)).toEqual([])
  expect(others.filter((text) => gitAddress(text) !== undefined)).toEqual([])
})

test("takes fragments apart", () => {
  expect(gitAddress("https://x.example/a.git#v1:sub/dir")).toEqual({
    url: "https://x.example/a.git",
    protocol: "https",
    ref: "v1",
    subdirectory: "sub/dir",
    likeLocal: false,
  })
  expect(gitAddress("git@x.example:a/b#feature/x")).toMatchObject({
    url: "git@x.example:a/b",
    protocol: "ssh",
    ref: "feature/x",
  })
  expect(gitAddress("github.com/a/b#:sub")).toMatchObject({
    url: "https://github.com/a/b",
    ref: "",
    subdirectory: "sub",
    likeLocal: true,
  })
})

test("an HTTP address is one that is not Git's", () => {
  expect(isHttpAddress("https://x.example/a.tar")).toBe(true)
  expect(isHttpAddress("https://x.example/a.git")).toBe(false)
  expect(isHttpAddress("a.tar")).toBe(false)
})
