// Sloop as both judges are: by the docker client's classic build, and by `sloop build`.
import { rmSync } from "node:fs"
import { join } from "node:path"
import { program, startEngine } from "../fixtures/engine.ts"
import { makeBaseImages } from "./base-images.ts"
import { type Builder, keepingBuilder } from "./builders.ts"
import type { Judge } from "./cases.ts"

export const startOurs = async (): Promise<Readonly<Record<Judge, Builder>> & { close(): Promise<void> }> => {
  const engine = await startEngine({ image: false })
  const bases = await makeBaseImages()
  const loaded = await engine.dockerWith({ stdin: bases.archive }, "load")
  if (loaded.code !== 0) throw new Error(`the base images cannot be loaded: ${loaded.stderr}`)
  const common = { work: engine.work, baseDiffIds: bases.diffIds }
  return {
    classic: keepingBuilder({
      ...common,
      client: ["docker"],
      verb: ["build"],
      options: { env: { ...engine.env, DOCKER_BUILDKIT: "0" } },
    }),
    buildkit: keepingBuilder({
      ...common,
      client: program(),
      verb: ["build", "--progress=plain"],
      options: { env: engine.env },
    }),
    async close() {
      rmSync(join(engine.work), { recursive: true, force: true })
      await engine.close()
    },
  }
}
