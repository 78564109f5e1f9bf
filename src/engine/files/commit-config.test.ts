// A commit's config over a container's, as Docker merges them.
import { expect, test } from "bun:test"
import type { ImageConfig } from "../../images/images.ts"
import { withCommitConfig } from "./commit-config.ts"

const container: ImageConfig = {
  user: "1",
  exposedPorts: ["80/tcp"],
  env: ["A=1", "B=2"],
  entrypoint: ["init"],
  command: ["serve"],
  volumes: ["/v"],
  workingDirectory: "/w",
  labels: { a: "1", b: "2" },
  stopSignal: "SIGINT",
}

test("without a wish all stays", () => {
  expect(withCommitConfig(container, {})).toMatchObject({ ...container })
})

test("single values replace, lists and maps add", () => {
  const asked = {
    user: "2",
    env: ["B=3", "C=4"],
    labels: { b: "3" },
    exposedPorts: ["81/udp"],
    volumes: ["/v", "/x"],
  }
  expect(withCommitConfig(container, asked)).toMatchObject({
    user: "2",
    env: ["B=3", "C=4", "A=1"],
    labels: { a: "1", b: "3" },
    exposedPorts: ["80/tcp", "81/udp"],
    volumes: ["/v", "/x"],
    workingDirectory: "/w",
    stopSignal: "SIGINT",
  })
})

test("a command keeps the entrypoint, an entrypoint drops the command", () => {
  const start = (asked: Parameters<typeof withCommitConfig>[1]) => {
    const { entrypoint, command } = withCommitConfig(container, asked)
    return [entrypoint, command]
  }
  expect(start({ command: ["x"] })).toEqual([["init"], ["x"]])
  expect(start({ entrypoint: ["e"] })).toEqual([["e"], undefined])
  expect(start({ entrypoint: ["e"], command: ["x"] })).toEqual([["e"], ["x"]])
  expect(start({ entrypoint: [] })).toEqual([[], ["serve"]])
})
