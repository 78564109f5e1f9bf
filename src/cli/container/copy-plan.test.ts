import { expect, test } from "bun:test"
import { placeCopy, renameWords, splitPath } from "./copy-plan.ts"

test("a trailing dot is a name of its own", () => {
  expect(splitPath("/a/b")).toEqual({ directory: "/a", base: "b" })
  expect(splitPath("/a/b/")).toEqual({ directory: "/a", base: "b" })
  expect(splitPath("/a/b/.")).toEqual({ directory: "/a/b/./".replace("./", ""), base: "." })
  expect(splitPath("/")).toEqual({ directory: "/", base: "/" })
})

const file = { path: "/f", isDirectory: false, base: "f", name: "f" }
const directory = { path: "/d", isDirectory: true, base: "d", name: "d" }

test("where things land", () => {
  expect(placeCopy(file, { path: "/w", exists: true, isDirectory: true })).toEqual({
    directory: "/w",
    name: "f",
  })
  expect(placeCopy(file, { path: "/w/x", exists: false, isDirectory: false })).toEqual({
    directory: "/w",
    name: "x",
  })
  expect(placeCopy(directory, { path: "/w/new/", exists: false, isDirectory: false })).toEqual({
    directory: "/w",
    name: "new",
  })
  expect(() => placeCopy(directory, { path: "/f", exists: true, isDirectory: false })).toThrow(
    "cannot copy directory",
  )
  expect(() => placeCopy(file, { path: "/new/", exists: false, isDirectory: false })).toThrow(
    "no such directory",
  )
})

test("names are renamed literally", () => {
  expect(renameWords("a", "a")).toEqual([])
  expect(renameWords("a.b", "c&d")).toEqual(["--transform", "flags=rhS;s,^a\\.b,c\\&d,"])
})
