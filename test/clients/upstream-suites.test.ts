// The own test suites of docker-py and dockerode, which their packages leave out: run where a checkout of them is named.
//   SLOOP_DOCKER_PY=DIR      with SLOOP_PYTHON (python3), which has what its tests import (pytest, requests, paramiko …)
//   SLOOP_DOCKERODE=DIR      with its modules installed; its image is made by mmdebstrap
// What must fail, and why, lies in upstream/; anything else that fails, or stops failing, fails here.
import { expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { baseImage } from "../fixtures/base-image.ts"
import { execute, startEngine, type TestEngine } from "../fixtures/engine.ts"
import dockerPy from "./upstream/docker-py.json"
import dockerode from "./upstream/dockerode.json"

const half = 900_000

const namedPlace = (suite: string, variable: string): string | undefined => {
  const place = process.env[variable]
  if (place !== undefined && existsSync(place)) return place
  console.log(
    `the own suite of ${suite} is not run: its package leaves it out, and ${variable} names no checkout`,
  )
  return undefined
}

const importImages = async (engine: TestEngine, tar: string, shell: string, names: readonly string[]) => {
  const path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  for (const name of names) await engine.ok("import", "-c", path, "-c", `CMD ["${shell}"]`, tar, name)
}

const withEngine = async (work: (engine: TestEngine) => Promise<void>): Promise<void> => {
  const engine = await startEngine()
  try {
    await work(engine)
  } finally {
    await engine.close()
  }
}

const python = namedPlace("docker-py", "SLOOP_DOCKER_PY")
test.skipIf(python === undefined)(
  "docker-py's own suite fails where it is known to, and nowhere else",
  () =>
    withEngine(async (engine) => {
      await importImages(engine, baseImage, "/bin/sh", ["alpine:3.10", "alpine:latest"])
      const ignored = Object.keys(dockerPy["skipped files"]).map(
        (name) => `--ignore=tests/integration/${name}`,
      )
      const words = ["-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", ...ignored, "tests/integration"]
      const command = ["env", "-C", python ?? "", process.env.SLOOP_PYTHON ?? "python3", ...words]
      const { stdout } = await execute(command, { env: engine.env, timeout: half })
      const failed = [...stdout.matchAll(/^FAILED \S+::(\w+)/gm)].map(([, name]) => name)
      expect([...new Set(failed)].toSorted()).toEqual(Object.keys(dockerPy["expected failures"]).toSorted())
      expect(stdout).toMatch(/ 2\d\d passed/)
    }),
  half,
)

const node = namedPlace("dockerode", "SLOOP_DOCKERODE")
test.skipIf(node === undefined)(
  "dockerode's own suite fails where it is known to, and nowhere else",
  () =>
    withEngine(async (engine) => {
      const debian = join(engine.work, "debian.tar")
      const made = ["mmdebstrap", "--variant=essential", "--include=procps", "bookworm", debian]
      expect((await execute(made, { timeout: half })).code).toBe(0)
      await importImages(engine, debian, "/bin/bash", ["ubuntu:latest"])
      await importImages(engine, baseImage, "/bin/sh", ["alpine:latest"])
      const mocha = ["node", "node_modules/mocha/bin/mocha.js", "-R", "tap", "--exit", "--timeout", "30000"]
      const { stdout } = await execute(["env", "-C", node ?? "", ...mocha], {
        env: engine.env,
        timeout: half,
      })
      const groups = Object.keys(dockerode["expected groups"])
      const failed = [...stdout.matchAll(/^not ok \d+ (.+)$/gm)]
        .map(([, name = ""]) => name.trim())
        .filter((name) => !groups.some((group) => name.startsWith(group)))
      expect(failed.toSorted()).toEqual(Object.keys(dockerode["expected failures"]).toSorted())
      expect([...stdout.matchAll(/^ok /gm)].length).toBeGreaterThan(90)
    }),
  half,
)
