// What the engine refuses, and the words it uses.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { parseSignal } from "../../base/signals.ts"
import type { ContainerConfig, MountRequest } from "../../state/state.ts"
import { parseLog } from "./log-options.ts"
import { mergeConfig } from "./merge.ts"
import { cleanPath, validateConfig, validateName } from "./validate.ts"

const image = { user: "", exposedPorts: [], env: [], volumes: [], workingDirectory: "", labels: {} }
const refuses = (changes: Partial<ContainerConfig>, text: string) =>
  expect(() =>
    validateConfig({
      ...mergeConfig({ image: "x", command: ["x"] }, image, {}, { id: "0".repeat(64), hostName: "h" }),
      ...changes,
    }),
  ).toThrow(text)
const mount = (changes: Partial<MountRequest>): Partial<ContainerConfig> => ({
  mounts: [{ type: "bind", source: "/a", target: "/b", readOnly: false, origin: "mounts", ...changes }],
})

test("what is wrong is said in one sentence", () => {
  refuses(
    { workingDirectory: "tmp" },
    "the working directory 'tmp' is invalid, it needs to be an absolute path",
  )
  refuses({ env: ["=x"] }, "invalid environment variable: =x")
  refuses({ hostname: "a b" }, "invalid hostname format: a b")
  refuses({ hostname: "a".repeat(65) }, "invalid hostname format")
  refuses({ stopSignal: "SIGNOPE" }, "invalid signal: SIGNOPE")
  refuses({ shmSize: -1 }, "SHM size can not be less than 0")
  refuses({ healthcheck: { interval: 0.5 } }, "Interval in Healthcheck cannot be less than 1ms")
  refuses({ healthcheck: { test: ["WHAT"] } }, 'Unknown type "WHAT" in Healthcheck')
  refuses(
    { restart: { name: "always", maximumRetries: 3 } },
    "maximum retry count can only be used with 'on-failure'",
  )
  refuses({ restart: { name: "on-failure", maximumRetries: -1 } }, "maximum retry count cannot be negative")
  refuses(
    { autoRemove: true, restart: { name: "always", maximumRetries: 0 } },
    "can't create 'AutoRemove' container with restart policy",
  )
  refuses({ command: ["a\0b"] }, "NUL")
  refuses({ logDriver: "splunk" }, "logger: no log driver named 'splunk' is registered")
  refuses({ extraHosts: ["x"] }, 'bad format for add-host: "x"')
})

test("mounts", () => {
  refuses(mount({ target: "rel" }), "mount path must be absolute")
  refuses(mount({ target: "/" }), "destination can't be '/'")
  refuses(mount({ target: "/x/.." }), "destination can't be '/'")
  refuses(mount({ source: "rel" }), "mount path must be absolute")
  refuses(mount({ type: "volume", source: "../up" }), "invalid characters for a local volume name")
  refuses(mount({ type: "volume", source: "v1", subpath: "../up" }), "subpath must be a relative path")
  refuses(mount({ type: "tmpfs", source: "x" }), "field Source must not be specified")
  refuses(
    { mounts: [...(mount({}).mounts ?? []), ...(mount({ target: "/b/" }).mounts ?? [])] },
    "Duplicate mount point: /b",
  )
  refuses({ volumes: ["data"] }, "mount path must be absolute")
})

test("a cleaned path has no dots and stays below the root", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("", ".", "..", "a", "b c")), (parts) => {
      const path = cleanPath(parts.join("/"))
      expect(path.startsWith("/")).toBe(true)
      expect(path.split("/").some((part) => part === ".." || part === ".")).toBe(false)
      expect(cleanPath(path)).toBe(path)
    }),
  )
})

test("names and signals", () => {
  for (const bad of ["a", "-a", "a b", "a/b", "ü1", ""])
    expect(() => validateName(bad)).toThrow("Invalid container name")
  expect([parseSignal("TERM"), parseSignal("sigkill"), parseSignal("15"), parseSignal("RTMIN+3")]).toEqual([
    15, 9, 15, 37,
  ])
  for (const bad of ["", "0", "65", "-1", "SIGRTMIN+99", "KILLER"])
    expect(() => parseSignal(bad)).toThrow("invalid signal")
})

test("log options", () => {
  expect(parseLog("json-file", { "max-size": "10m", "max-file": "5" })).toEqual({
    driver: "json-file",
    maxBytes: 10 << 20,
    maxFiles: 5,
  })
  expect(parseLog("none", {})).toMatchObject({ driver: "none" })
  expect(() => parseLog("json-file", { nope: "1" })).toThrow(
    "unknown log opt 'nope' for json-file log driver",
  )
  expect(() => parseLog("json-file", { "max-size": "big" })).toThrow(`invalid size "big" for max-size`)
  expect(() => parseLog("json-file", { "max-file": "0" })).toThrow("max-file cannot be less than 1")
})
