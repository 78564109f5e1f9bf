// How image, request and engine defaults merge.
import { expect, test } from "bun:test"
import type { ImageConfig } from "../../images/images.ts"
import type { CreateConfig } from "../engine.ts"
import { argvOf, mergeConfig, overrideEnv } from "./merge.ts"

const image: ImageConfig = {
  user: "app",
  exposedPorts: ["80/tcp"],
  env: ["PATH=/bin", "A=image"],
  entrypoint: ["/entry"],
  command: ["serve"],
  volumes: ["/data"],
  workingDirectory: "/srv",
  labels: { a: "image", b: "image" },
  stopSignal: "SIGINT",
  healthcheck: { test: ["CMD", "probe"], interval: 5000, retries: 4 },
}
const merge = (asked: Partial<CreateConfig>) =>
  mergeConfig({ image: "x", ...asked }, image, {}, { id: "0123456789abcdef", hostName: "machine" })

test("the image fills what was not asked for", () => {
  const config = merge({
    env: ["A=mine", "B=2"],
    labels: { a: "mine" },
    exposedPorts: ["90/udp"],
    volumes: ["/more"],
  })
  expect(config).toMatchObject({
    user: "app",
    workingDirectory: "/srv",
    stopSignal: "SIGINT",
    env: ["A=mine", "B=2", "PATH=/bin"],
    labels: { a: "mine", b: "image" },
    exposedPorts: ["90/udp", "80/tcp"],
    volumes: ["/more", "/data"],
    hostname: "0123456789ab",
    networkMode: "default",
    logDriver: "json-file",
  })
})

test("entrypoint and command", () => {
  const argv = (asked: Partial<CreateConfig>) => argvOf(merge(asked))
  expect(argv({})).toEqual(["/entry", "serve"])
  expect(argv({ command: ["other"] })).toEqual(["/entry", "other"])
  expect(argv({ entrypoint: ["/mine"] })).toEqual(["/mine"])
  expect(argv({ entrypoint: ["/mine"], command: ["x"] })).toEqual(["/mine", "x"])
  expect(argv({ entrypoint: [""] })).toEqual([])
  expect(argv({ entrypoint: [""], command: ["sh"] })).toEqual(["sh"])
  expect(argv({ entrypoint: [] })).toEqual(["serve"])
})

test("a healthcheck inherits what it leaves out", () => {
  expect(merge({ healthcheck: { interval: 1000 } }).healthcheck).toMatchObject({
    test: ["CMD", "probe"],
    interval: 1000,
    retries: 4,
  })
  expect(merge({ healthcheck: { test: ["NONE"] } }).healthcheck?.test).toEqual(["NONE"])
})

test("the host's name where the host's network or uts is used", () => {
  expect(merge({ networkMode: "host" }).hostname).toBe("machine")
  expect(merge({ utsMode: "host" }).hostname).toBe("machine")
  expect(merge({ networkMode: "host", hostname: "own" }).hostname).toBe("own")
})

test("variables are replaced in place, appended, or taken away", () => {
  expect(overrideEnv(["A=1", "B=2"], ["B=3", "C=4", "A"])).toEqual(["B=3", "C=4"])
  expect(overrideEnv(["A=1"], ["A=x=y"])).toEqual(["A=x=y"])
})
